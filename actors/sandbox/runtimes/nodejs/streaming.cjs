/** What a function says about its streaming: the global `awslambda`, and which handlers it marked. */
"use strict";

const { maxPayloadBytes } = require("./channel.cjs");
const { RuntimeError } = require("./errors.cjs");

const streamingMark = Symbol.for("aws.lambda.runtime.handler.streaming");
const highWaterMark = Symbol.for("aws.lambda.runtime.handler.streaming.highWaterMark");
const preludeContentType = "application/vnd.awslambda.http-integration-response";

/** The global `awslambda`: marks handlers as streaming, and puts status and headers before a streamed body. */
const awslambda = {
  streamifyResponse(handler, options) {
    handler[streamingMark] = "response";
    if (typeof options?.highWaterMark === "number") handler[highWaterMark] = Math.trunc(options.highWaterMark);
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

function tooLarge() {
  const limit = `maximum allowed payload size (${maxPayloadBytes} bytes)`;
  return new RuntimeError("Function.ResponseSizeTooLarge", `Response payload size exceeded ${limit}.`);
}

module.exports = { awslambda, isStreaming, tooLarge };
