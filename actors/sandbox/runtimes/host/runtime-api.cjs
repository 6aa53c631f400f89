/**
 * Lambda's Runtime API over HTTP, for one runtime process and one invocation at a time.
 *
 * The states, and what may be called in each (anything else is refused with 403 InvalidStateTransition):
 *   Started: next, init/error   Ready (waits in next): nothing   Running: response, error   ResponseSent: next
 *   InitError: nothing. An event that comes before the runtime asks for it waits.
 */
"use strict";

const { maxPayloadBytes } = require("../nodejs/channel.cjs");
const { outOfOrder, readBody, readPieces, refuse, refuseUnread, reply, truncated } = require("./http.cjs");

const base = "/2018-06-01";
const ok = { status: "OK" };
const knownErrorType = /^(Runtime|Function)\.[A-Z][a-zA-Z]+$/;
const errorWithCause = "application/vnd.aws.lambda.error.cause+json";

class RuntimeApi {
  #heard;
  #state = "Started";
  /** The response object of the `next` call that waits. */
  #waiting = null;
  /** The event that came, and isn't delivered yet. */
  #event = null;
  /** The request id of the latest delivered event; its answers are judged by state. */
  #requestId = null;

  /** The caller of that event wants the response as it is produced. */
  #streams = false;

  /** `heard`: `{next(), initError(type, body), chunk(id, contentType, bytes, done), response(id, contentType, bytes), error(id, type, bytes)}`. */
  constructor(heard) {
    this.#heard = heard;
  }

  offer({ header, payload }) {
    // The bytes belong to the channel's buffer, which the next frame overwrites.
    this.#event = { header, payload: Buffer.from(payload) };
    this.#deliver();
  }

  /** Answers a request that is one of this API's; gives false for others. */
  route(request, response, path) {
    const { method } = request;
    const answer = method === "POST" && /^\/2018-06-01\/runtime\/invocation\/([^/]+)\/(response|error)$/.exec(path);
    if (answer) this.#answer(request, response, decodeId(answer[1]), answer[2]);
    else if (method === "GET" && path === `${base}/runtime/invocation/next`) this.#next(response);
    else if (method === "POST" && path === `${base}/runtime/init/error`) this.#initError(request, response);
    else return false;
    return true;
  }

  #next(response) {
    // Who asked and hung up may ask again; a second call beside the first may not.
    const from = this.#waiting ? [] : ["Started", "ResponseSent", "Ready"];
    if (!this.#mayMoveTo("Ready", from, response)) return;
    const isNew = this.#state !== "Ready";
    this.#state = "Ready";
    this.#waiting = response;
    response.once("close", () => {
      if (this.#waiting === response) this.#waiting = null;
    });
    if (isNew) this.#heard.next();
    this.#deliver();
  }

  #deliver() {
    if (!this.#event || !this.#waiting) return;
    const { header, payload } = this.#event;
    const response = this.#waiting;
    this.#event = null;
    this.#waiting = null;
    this.#state = "Running";
    this.#requestId = header.requestId;
    this.#streams = header.streams === true;
    response.writeHead(200, eventHeaders(header, payload));
    response.end(payload);
  }

  async #initError(request, response) {
    if (!this.#mayMoveTo("InitError", ["Started"], response)) return request.resume();
    this.#state = "InitError";
    const { bytes } = await readBody(request);
    this.#heard.initError(errorTypeOf(request), bytes ?? Buffer.from("{}"));
    reply(response, 202, ok);
  }

  async #answer(request, response, requestId, kind) {
    if (requestId === null || requestId !== this.#requestId) {
      return refuseUnread(request, response, 400, "InvalidRequestID", "Invalid request ID");
    }
    const name = kind === "error" ? "InvocationErrorResponse" : "InvocationResponse";
    if (!this.#mayMoveTo(name, ["Running"], response)) return request.resume();
    this.#state = name;
    const mode = request.headers["lambda-runtime-function-response-mode"];
    const isStreamed = this.#streams && kind === "response" && mode === "streaming";
    const body = await (isStreamed ? this.#stream(request) : readBody(request));
    this.#state = "ResponseSent";
    if (body.isTruncated) {
      this.#fail("Runtime.TruncatedResponse", "The response ended before its end.");
      return reply(response, 400, truncated);
    }
    if (kind === "response" && mode !== undefined && mode !== "streaming") {
      this.#fail("Runtime.InvalidResponseModeHeader", "Invalid response mode header.");
      return refuse(response, 400, "InvalidFunctionResponseMode", "Invalid function response mode");
    }
    if (!body.bytes) {
      const limit = `maximum allowed payload size (${maxPayloadBytes} bytes).`;
      this.#fail("Function.ResponseSizeTooLarge", `Response payload size exceeded ${limit}`);
      return refuse(response, 413, "RequestEntityTooLarge", `Exceeded ${limit}`);
    }
    const failure = kind === "error" ? null : trailingFailure(request);
    if (kind === "error") this.#heard.error(requestId, errorTypeOf(request), errorBodyOf(request, body.bytes));
    else if (failure) this.#heard.error(requestId, failure.type, failure.body);
    else this.#heard.response(requestId, contentTypeOf(request), body.bytes);
    reply(response, 202, ok);
  }

  /** What is left at the end of it is nothing. */
  async #stream(request) {
    const contentType = contentTypeOf(request);
    const read = await readPieces(request, (bytes, done) =>
      this.#heard.chunk(this.#requestId, contentType, bytes, done),
    );
    return { ...read, bytes: Buffer.alloc(0) };
  }

  /** Ends the invocation with an error of the platform. */
  #fail(errorType, errorMessage) {
    this.#heard.error(this.#requestId, errorType, JSON.stringify({ errorMessage, errorType }));
  }

  #mayMoveTo(next, from, response) {
    if (from.includes(this.#state)) return true;
    refuse(response, 403, "InvalidStateTransition", outOfOrder(this.#state, next, "runtime"));
    return false;
  }
}

/** Clients may escape what stands in a path; what can't be unescaped is nobody's id. */
function decodeId(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

function eventHeaders(header, payload) {
  const headers = {
    "Content-Type": "application/json",
    "Content-Length": payload.length,
    "Lambda-Runtime-Aws-Request-Id": header.requestId,
    "Lambda-Runtime-Deadline-Ms": String(Math.trunc(header.deadlineMs)),
    "Lambda-Runtime-Invoked-Function-Arn": header.invokedFunctionArn,
  };
  const optional = {
    "Lambda-Runtime-Trace-Id": header.traceId,
    "Lambda-Runtime-Client-Context": header.clientContext,
    "Lambda-Runtime-Cognito-Identity": header.cognitoIdentity,
    "Lambda-Runtime-Aws-Tenant-Id": header.tenantId,
  };
  for (const [name, value] of Object.entries(optional)) if (value) headers[name] = headerText(value);
  return headers;
}

/** UTF-8 as it may stand in a header: line ends of JSON are only layout, and DEL is written as an escape. */
function headerText(text) {
  return Buffer.from(text.replace(/[\r\n]/g, " ").replaceAll("\x7f", "\\u007f")).toString("latin1");
}

const errorTypeOf = (request) => claimedErrorType(request.headers["lambda-runtime-function-error-type"] ?? "");

/** The type a runtime claims, if it has the form of one; the caller sees the body, whatever it says. */
function claimedErrorType(type) {
  if (knownErrorType.test(type)) return type;
  return type.startsWith("Function.") ? "Function.Unknown" : "Runtime.Unknown";
}

/** JSON, the usual case, is left empty. */
function contentTypeOf(request) {
  const type = request.headers["content-type"] ?? "";
  return type === "application/json" ? "" : type;
}

/** An error that comes together with its cause for tracing is given to the caller without that. */
function errorBodyOf(request, bytes) {
  if (request.headers["content-type"] !== errorWithCause) return bytes;
  try {
    const { errorMessage = "", errorType = "", stackTrace } = JSON.parse(bytes.toString("utf8"));
    return JSON.stringify({ errorMessage, errorType, ...(stackTrace?.length ? { stackTrace } : {}) });
  } catch {
    return JSON.stringify("Invalid error body");
  }
}

/** A stream that broke on the way says so after its end. */
function trailingFailure(request) {
  const claimed = request.trailers["lambda-runtime-function-error-type"];
  if (claimed === undefined) return null;
  const type = claimedErrorType(claimed);
  const body = Buffer.from(request.trailers["lambda-runtime-function-error-body"] ?? "", "base64");
  return { type, body: body.length > 0 ? body : Buffer.from(JSON.stringify({ errorType: type, errorMessage: "" })) };
}

module.exports = { claimedErrorType, RuntimeApi };
