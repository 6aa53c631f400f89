/**
 * Response streams: a streaming handler writes to a stream as it does on Lambda. What it writes leaves at once where the
 * caller wants it so; else it's gathered, and the whole response leaves when it ends, as on Lambda. Loaded for a handler
 * that streams only: others do without Node's streams.
 */
"use strict";

const { Writable } = require("node:stream");
const { maxPayloadBytes } = require("./channel.cjs");
const { RuntimeError } = require("./errors.cjs");
const { tooLarge } = require("./streaming.cjs");

const highWaterMark = Symbol.for("aws.lambda.runtime.handler.streaming.highWaterMark");
/** What leaves at a time: who reads slower holds back no more than this. */
const maxChunkBytes = 64 * 1024;

class ResponseStream extends Writable {
  #sink;
  #begun = false;
  contentType = "application/octet-stream";
  _onBeforeFirstWrite = null;

  /** `sink(contentType, bytes, done)` takes what is written, one piece after the other. */
  constructor(sink, options) {
    super(options);
    this.#sink = sink;
  }

  setContentType(contentType) {
    if (this.#begun) {
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
    const prelude = this.#prelude();
    this.#begun ||= chunk.length > 0;
    this.#sink(this.contentType, prelude.length > 0 ? Buffer.concat([...prelude, chunk]) : chunk, done);
  }

  _final(done) {
    const prelude = this.#prelude();
    if (prelude.length > 0) this.#sink(this.contentType, Buffer.concat(prelude), done);
    else done();
  }

  #prelude() {
    const before = this._onBeforeFirstWrite;
    this._onBeforeFirstWrite = null;
    const written = [];
    before?.((chunk) => written.push(Buffer.from(chunk)));
    this.#begun ||= written.length > 0;
    return written;
  }
}

/** Keeps what it is given, as far as a response may be that leaves in one piece. */
function gathering() {
  const chunks = [];
  let bytes = 0;
  const sink = (_contentType, chunk, done) => {
    bytes += chunk.length;
    chunks.push(chunk);
    done(bytes > maxPayloadBytes ? tooLarge() : null);
  };
  return { sink, content: () => Buffer.concat(chunks) };
}

/** Sends what it is given in chunks, each when the one before has left; nothing any more when the run has ended. */
function sending(channel, run) {
  const sink = (contentType, chunk, done, at = 0) => {
    if (run.settled || at >= chunk.length) return done();
    const end = at + maxChunkBytes;
    channel.chunk(run.header.requestId, contentType, chunk.subarray(at, end), () =>
      sink(contentType, chunk, done, end),
    );
  };
  return { sink, content: () => "" };
}

/** Runs a streaming handler to the end of its stream; gives `{contentType, payload}`, the payload as far as it isn't sent. */
async function runStreaming(handler, event, run, channel) {
  const { context } = run;
  const { sink, content } = run.header.streams ? sending(channel, run) : gathering();
  const limit = handler[highWaterMark];
  const stream = new ResponseStream(sink, limit === undefined ? {} : { highWaterMark: limit });
  const finished = new Promise((resolve, reject) => stream.once("finish", resolve).once("error", reject));
  const returned = handler(event, stream, context);
  if (typeof returned?.then !== "function") throw new Error("Streaming does not support non-async handlers.");
  // A stream that breaks ends the run, also when the handler waits for it to take more.
  const result = await Promise.race([returned, finished.then(() => returned)]);
  if (result !== undefined) console.warn("Streaming handlers ignore return values.");
  await finished;
  return { contentType: stream.contentType, payload: content() };
}

module.exports = { runStreaming };
