/** What a function's failures look like to the caller: Lambda's `{errorType, errorMessage, trace}`. */
"use strict";

const { types } = require("node:util");

/** A failure the runtime itself finds; `type` is one of Lambda's `Runtime.*` or `Function.*` names. */
class RuntimeError extends Error {
  constructor(type, message, cause) {
    super(message);
    this.name = type;
    if (cause) this.stack = `${type}: ${message}\n${cause.stack ?? ""}`;
  }
}

function isError(value) {
  return value instanceof Error || types.isNativeError(value);
}

/** Anything can be thrown, also objects whose getters throw: this always gives an answer. */
function toErrorBody(thrown) {
  try {
    if (!isError(thrown)) return { errorType: typeof thrown, errorMessage: String(thrown), trace: [] };
    return {
      errorType: String(thrown.name),
      errorMessage: String(thrown.message),
      trace: typeof thrown.stack === "string" ? thrown.stack.split("\n") : [],
    };
  } catch {
    return { errorType: "Function.Unknown", errorMessage: "what was thrown can't be described", trace: [] };
  }
}

/** The error as it stands in the log: with its own fields, such as `code` and `cause`. */
function toErrorLog(thrown) {
  const { errorType, errorMessage, trace } = toErrorBody(thrown);
  const seen = new Set();
  const describe = (_key, value) => {
    if (typeof value === "bigint") return String(value);
    if (typeof value !== "object" || value === null) return value;
    if (seen.has(value)) return undefined;
    seen.add(value);
    if (!isError(value)) return value;
    const body = toErrorBody(value);
    return {
      errorType: body.errorType,
      errorMessage: body.errorMessage,
      ...value,
      cause: value.cause,
      stack: body.trace,
    };
  };
  try {
    return JSON.stringify(isError(thrown) ? thrown : { errorType, errorMessage, stack: trace }, describe);
  } catch {
    return JSON.stringify({ errorType, errorMessage, stack: trace });
  }
}

module.exports = { RuntimeError, isError, toErrorBody, toErrorLog };
