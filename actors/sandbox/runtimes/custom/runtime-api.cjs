/**
 * Lambda's Runtime API over HTTP, for one runtime process and one invocation at a time.
 *
 * The states, and what may be called in each (anything else is refused with 403 InvalidStateTransition):
 *   Started: next, init/error   Ready (waits in next): nothing   Running: response, error   ResponseSent: next
 *   InitError: nothing. An event that comes before the runtime asks for it waits.
 */
"use strict";

const { createServer } = require("node:http");
const { maxPayloadBytes } = require("../nodejs/channel.cjs");

const base = "/2018-06-01";
const ok = { status: "OK" };
const knownErrorType = /^(Runtime|Function)\.[A-Z][a-zA-Z]+$/;

class RuntimeApi {
  #channel;
  #state = "Started";
  /** The response object of the `next` call that waits. */
  #waiting = null;
  /** The event that came, and isn't delivered yet. */
  #event = null;
  /** The request id of the latest delivered event; its answers are judged by state. */
  #requestId = null;
  #server;

  constructor(channel) {
    this.#channel = channel;
    // A runtime may wait in `next` for hours, and sends traces in headers.
    this.#server = createServer({
      requestTimeout: 0,
      headersTimeout: 0,
      keepAliveTimeout: 0,
      maxHeaderSize: 256 * 1024,
    });
    this.#server.on("request", (request, response) => this.#route(request, response));
  }

  /** Gives the address it listens on, `host:port`. */
  listen(address) {
    const colon = address.lastIndexOf(":");
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(Number(address.slice(colon + 1)), address.slice(0, colon), () => {
        const { address: host, port } = this.#server.address();
        resolve(`${host}:${port}`);
      });
    });
  }

  offer({ header, payload }) {
    // The bytes belong to the channel's buffer, which the next frame overwrites.
    this.#event = { header, payload: Buffer.from(payload) };
    this.#deliver();
  }

  #route(request, response) {
    const { method } = request;
    const path = request.url.split("?", 1)[0];
    if (method === "GET" && path === `${base}/runtime/invocation/next`) return this.#next(response);
    if (method === "GET" && path === `${base}/ping`) return response.end("pong");
    if (method === "POST" && path === `${base}/runtime/init/error`) return this.#initError(request, response);
    const answer = method === "POST" && /^\/2018-06-01\/runtime\/invocation\/([^/]+)\/(response|error)$/.exec(path);
    if (answer) return this.#answer(request, response, decodeId(answer[1]), answer[2]);
    if (method === "PUT" && (path === "/2022-07-01/telemetry" || path === "/2020-08-15/logs")) {
      const api = path.endsWith("telemetry") ? "Telemetry" : "Logs";
      request.resume();
      return refuse(response, 202, `${api}.NotSupported`, `${api} API is not supported`);
    }
    request.resume();
    refuse(response, 404, "NotFound", `${method} ${path} is not served here`);
  }

  #next(response) {
    // Who asked and hung up may ask again; a second call beside the first may not.
    const from = this.#waiting ? [] : ["Started", "ResponseSent", "Ready"];
    if (!this.#mayMoveTo("Ready", from, response)) return;
    if (this.#state === "Started") this.#channel.ready();
    this.#state = "Ready";
    this.#waiting = response;
    response.once("close", () => {
      if (this.#waiting === response) this.#waiting = null;
    });
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
    response.writeHead(200, eventHeaders(header, payload));
    response.end(payload);
  }

  async #initError(request, response) {
    if (!this.#mayMoveTo("InitError", ["Started"], response)) return request.resume();
    this.#state = "InitError";
    const body = await readBody(request);
    this.#channel.initError(errorTypeOf(request, "Runtime.Unknown"), body.bytes ?? Buffer.from("{}"));
    reply(response, 202, ok);
  }

  async #answer(request, response, requestId, kind) {
    if (requestId === null || requestId !== this.#requestId) {
      request.resume();
      return refuse(response, 400, "InvalidRequestID", "Invalid request ID");
    }
    const name = kind === "error" ? "InvocationErrorResponse" : "InvocationResponse";
    if (!this.#mayMoveTo(name, ["Running"], response)) return request.resume();
    this.#state = name;
    const mode = request.headers["lambda-runtime-function-response-mode"];
    const body = await readBody(request);
    this.#state = "ResponseSent";
    if (body.isTruncated) {
      this.#fail("Runtime.TruncatedResponse", "The response ended before its end.");
      return refuse(response, 400, "TruncatedHTTPRequest", "HTTP request detected as truncated");
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
    if (kind === "error") this.#channel.error(requestId, errorTypeOf(request, "Function.Unknown"), body.bytes);
    else if (failure) this.#channel.error(requestId, failure.type, failure.body);
    else this.#channel.response(requestId, contentTypeOf(request), body.bytes);
    reply(response, 202, ok);
  }

  /** Ends the invocation with an error of the platform. */
  #fail(errorType, errorMessage) {
    this.#channel.error(this.#requestId, errorType, JSON.stringify({ errorMessage, errorType }));
  }

  #mayMoveTo(next, from, response) {
    if (from.includes(this.#state)) return true;
    const reason = `State transition from ${this.#state} to ${next} failed for runtime`;
    refuse(response, 403, "InvalidStateTransition", `${reason}. Error: State transition is not allowed`);
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

function errorTypeOf(request, otherwise) {
  const type = request.headers["lambda-runtime-function-error-type"] ?? "";
  return knownErrorType.test(type) ? type : otherwise;
}

/** JSON, the usual case, is left empty. */
function contentTypeOf(request) {
  const type = request.headers["content-type"] ?? "";
  return type === "application/json" ? "" : type;
}

/** A stream that broke on the way says so after its end. */
function trailingFailure(request) {
  const type = request.trailers["lambda-runtime-function-error-type"];
  if (type === undefined) return null;
  const body = Buffer.from(request.trailers["lambda-runtime-function-error-body"] ?? "", "base64");
  return { type, body: body.length > 0 ? body : Buffer.from(JSON.stringify({ errorType: type, errorMessage: "" })) };
}

/** Reads to the end whatever comes; keeps the bytes only while they are within the limit. */
function readBody(request) {
  return new Promise((resolve) => {
    let chunks = [];
    let length = 0;
    request.on("data", (chunk) => {
      length += chunk.length;
      if (length > maxPayloadBytes) chunks = null;
      chunks?.push(chunk);
    });
    request.once("close", () => resolve({ isTruncated: !request.complete, bytes: chunks && Buffer.concat(chunks) }));
    request.once("error", () => {});
  });
}

function reply(response, status, body) {
  const text = JSON.stringify(body);
  response.writeHead(status, { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(text) });
  response.end(text);
}

function refuse(response, status, errorType, errorMessage) {
  reply(response, status, { errorMessage, errorType });
}

module.exports = { RuntimeApi };
