/**
 * Turns `console` into Lambda's log: each call is one message, however many lines it has.
 * Text is `<ISO time>\t<request id>\t<LEVEL>\t<message>`; JSON is `{timestamp, level, requestId, message}` and, when an
 * error was among the arguments, `errorType`, `errorMessage` and `stackTrace`.
 */
"use strict";

const { format } = require("node:util");
const { isError } = require("./errors.cjs");

const levels = { TRACE: 1, DEBUG: 2, INFO: 3, WARN: 4, ERROR: 5, FATAL: 6 };

/** `say(level, at, text)` sends a message; `current()` gives the running request's `{requestId, tenantId}`, if one runs. */
function patchConsole(init, current, say) {
  const toText = init.logFormat === "JSON" ? jsonMessage : textMessage;
  const least = levels[init.logLevel] ?? 0;
  const logger = (level) => {
    if (levels[level] < least) return () => {};
    return (...args) => {
      const now = new Date();
      say(levels[level], now.getTime(), toText(now.toISOString(), current(), level, args));
    };
  };
  console.trace = logger("TRACE");
  console.debug = logger("DEBUG");
  console.info = logger("INFO");
  console.log = console.info;
  console.warn = logger("WARN");
  console.error = logger("ERROR");
  console.fatal = logger("FATAL");
}

function textMessage(timestamp, request, level, args) {
  return `${timestamp}\t${request?.requestId ?? "-"}\t${level}\t${format(...args)}`;
}

function jsonMessage(timestamp, request, level, args) {
  const line = { timestamp, level, requestId: request?.requestId ?? "-" };
  if (request?.tenantId) line.tenantId = request.tenantId;
  if (args.length === 1) {
    try {
      return JSON.stringify({ ...line, message: args[0] }, (_key, value) =>
        isError(value) ? plainError(value) : value,
      );
    } catch {
      return JSON.stringify({ ...line, message: format(args[0]) });
    }
  }
  const error = args.find(isError);
  const { errorType, errorMessage, stackTrace } = error ? plainError(error) : {};
  return JSON.stringify({ ...line, message: format(...args), errorType, errorMessage, stackTrace });
}

function plainError(error) {
  return {
    errorType: error.constructor?.name ?? "UnknownError",
    errorMessage: error.message,
    stackTrace: typeof error.stack === "string" ? error.stack.split("\n") : [],
    ...error,
  };
}

module.exports = { patchConsole };
