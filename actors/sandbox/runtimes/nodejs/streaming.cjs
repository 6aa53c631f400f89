/**
 * Response streams, gathered: a streaming handler writes to a stream as it does on Lambda, and the whole response leaves
 * when it ends. That's also what Lambda does with a streaming function invoked in the plain way.
 */
"use strict";

const { Writable } = require("node:stream");
const { maxPayloadBytes } = require("./channel.cjs");
const { RuntimeError } = require("./errors.cjs");

const streamingMark = Symbol.for("aws.lambda.runtime.handler.streaming");
const preludeContentType = "application/vnd.awslambda.http-integration-response";

/** The global `awslambda`: marks handlers as streaming, and puts status and headers before a streamed body. */
const awslambda = {
  streamifyResponse(handler) {
    handler[streamingMark] = "response";
    return handler;
  },
  HttpResponseStream: {
    /** The JSON of status, headers and cookies, then eight zero bytes, come before the first write. */
    from(stream, prelude) {
      stream.setContentType(preludeContentType);
      stream._onBeforeFirstWrite = (write) => {
        write(JSON.stringify(prelude));
        write(new Uint8Array(8));
      };
      return stream;
    },
  },
};

function isStreaming(handler) {
  const mark = handler[streamingMark];
  if (mark && mark !== "response") {
    throw new RuntimeError("Runtime.MalformedStreamingHandler", "Only response streaming is supported.");
  }
  return Boolean(mark);
}

class ResponseStream extends Writable {
  #chunks = [];
  #bytes = 0;
  contentType = "application/octet-stream";
  _onBeforeFirstWrite = null;

  setContentType(contentType) {
    if (this.#bytes > 0) {
      throw new RuntimeError("Runtime.InvalidStreamingOperation", "Cannot set content-type, too late.");
    }
    this.contentType = contentType;
  }

  /** Objects are written as their JSON. */
  write(chunk, ...rest) {
    const isPlain = typeof chunk === "string" || chunk instanceof Uint8Array;
    return super.write(isPlain ? chunk : JSON.stringify(chunk), ...rest);
  }

  _write(chunk, _encoding, done) {
    this.#begin();
    this.#keep(chunk);
    done(this.#bytes > maxPayloadBytes ? tooLarge() : null);
  }

  _final(done) {
    this.#begin();
    done();
  }

  content() {
    return Buffer.concat(this.#chunks);
  }

  #begin() {
    const before = this._onBeforeFirstWrite;
    this._onBeforeFirstWrite = null;
    before?.((chunk) => this.#keep(Buffer.from(chunk)));
  }

  #keep(chunk) {
    this.#bytes += chunk.length;
    this.#chunks.push(chunk);
  }
}

/** Runs a streaming handler to the end of its stream; gives `{contentType, payload}`. */
async function runStreaming(handler, event, context) {
  const stream = new ResponseStream();
  const finished = new Promise((resolve, reject) => stream.once("finish", resolve).once("error", reject));
  // A stream that breaks while the handler still runs is told by `finished` below, not as an unhandled rejection.
  finished.catch(() => {});
  const returned = handler(event, stream, context);
  if (typeof returned?.then !== "function") throw new Error("Streaming does not support non-async handlers.");
  if ((await returned) !== undefined) console.warn("Streaming handlers ignore return values.");
  await finished;
  return { contentType: stream.contentType, payload: stream.content() };
}

function tooLarge() {
  const limit = `maximum allowed payload size (${maxPayloadBytes} bytes)`;
  return new RuntimeError("Function.ResponseSizeTooLarge", `Response payload size exceeded ${limit}.`);
}

module.exports = { awslambda, isStreaming, runStreaming, tooLarge };
