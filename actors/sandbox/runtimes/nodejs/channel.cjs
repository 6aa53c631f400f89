/**
 * The sandbox's end of the frames that `actors/sandbox/frames.ts` describes. Plain JavaScript without dependencies,
 * for Node 20 and later: it runs where only this folder is mounted.
 *
 * Writing is synchronous: what was logged before a crash or `process.exit` has left the process, in order, and a reader
 * that lags slows the writer down instead of filling its memory. Only chunks wait without stopping everything else.
 */
"use strict";

const { writeSync } = require("node:fs");

const maxPayloadBytes = 6_291_556;
const maxLogBytes = 256 * 1024;

const headBytes = 5;
/** How long a lagging reader is left alone: a fraction of the time that the pace of a stream gives one piece. */
const chunkPauseMs = 2;
const pause = new Int32Array(new SharedArrayBuffer(4));

class Channel {
  #fd;
  #source;
  #small = Buffer.allocUnsafeSlow(64 * 1024);
  /** What is left of a chunk, as long as the reader lags: nothing else may come in between. */
  #unsent = null;

  /**
   * `onFrame(type, body)` is called for each frame; the body is only valid during the call. `onEnd` is called when the
   * worker has gone.
   */
  constructor(fd, onFrame, onEnd) {
    this.#fd = fd;
    const reader = new FrameReader(onFrame);
    const buffer = Buffer.allocUnsafeSlow(64 * 1024);
    const heard = (length) => reader.read(buffer.subarray(0, length));
    this.#source = pipeOf(fd, buffer, heard, onEnd) ?? socketOf(fd, buffer, heard, onEnd);
  }

  /** Waiting for a frame keeps the process alive, or no longer does. */
  ref() {
    this.#source.ref();
  }

  unref() {
    this.#source.unref();
  }

  ready() {
    this.#send(0x11, [], "");
  }

  /** Ready, with extensions: each answer is followed by `settled`, and the end is to be announced by a `shutdown` frame. */
  readyAndLingering() {
    this.#send(0x11, [], Buffer.of(1));
  }

  initError(errorType, body) {
    this.#send(0x12, [errorType], body);
  }

  /** `contentType` is left empty for JSON. */
  response(requestId, contentType, payload) {
    this.#send(0x13, [requestId, contentType], payload);
  }

  error(requestId, errorType, body) {
    this.#send(0x14, [requestId, errorType], body);
  }

  /** One message; a very long one arrives as several. */
  log(level, at, requestId, text) {
    const bytes = Buffer.from(text);
    let from = 0;
    do {
      let to = Math.min(from + maxLogBytes, bytes.length);
      while (to < bytes.length && (bytes[to] & 0xc0) === 0x80) to--;
      const idBytes = Math.min(Buffer.byteLength(requestId), 255);
      const frame = Buffer.allocUnsafe(headBytes + 10 + idBytes + to - from);
      frame.writeUInt32BE(frame.length - 4, 0);
      frame[4] = 0x15;
      frame[5] = level;
      frame.writeDoubleBE(at, 6);
      frame[14] = idBytes;
      frame.write(requestId, 15, idBytes);
      bytes.copy(frame, 15 + idBytes, from, to);
      this.#write(frame, frame.length);
      from = to;
    } while (from < bytes.length);
  }

  /** A piece of a response of which more follows; `done` is called when it has left, and there is one at a time. */
  chunk(requestId, contentType, payload, done) {
    this.#writeLater(frameOf(0x19, [requestId, contentType], payload), done);
  }

  /** A chunk of another process, as it is. */
  relayChunk(body, done) {
    this.#writeLater(frameOf(0x19, [], body), done);
  }

  exit(code, signal) {
    this.#send(0x16, [], JSON.stringify({ code, signal }));
  }

  /** All that follows the answer is over. Sent for every invocation once `readyAndLingering` was said. */
  settled() {
    this.#send(0x17, [], "");
  }

  /** Something in here asks for Lambda's APIs. */
  hostWanted() {
    this.#send(0x18, [], "");
  }

  /** `piece`: as bytecode.cjs makes it; empty when there is nothing worth keeping. */
  bytecode(piece) {
    this.#send(0x1a, [], piece);
  }

  /** A frame of another process, as it is. */
  relay(type, body) {
    this.#send(type, [], body);
  }

  /** Short frames are put together in one lasting buffer: nothing is allocated, and one system call sends them. */
  #send(type, texts, payload) {
    const payloadBytes = typeof payload === "string" ? Buffer.byteLength(payload) : payload.length;
    const upTo = headBytes + 256 * texts.length + payloadBytes;
    const frame = upTo <= this.#small.length ? this.#small : Buffer.allocUnsafe(upTo);
    this.#write(frame, fill(frame, type, texts, payload, payloadBytes));
  }

  #write(frame, length) {
    if (this.#unsent) {
      const unsent = this.#unsent;
      this.#unsent = null;
      this.#write(unsent, unsent.length);
    }
    let sent = 0;
    while (sent < length) {
      const more = this.#offer(frame, sent, length);
      if (more === 0) Atomics.wait(pause, 0, 0, 0.05);
      sent += more;
    }
  }

  #writeLater(frame, done) {
    if (this.#unsent) this.#write(frame, 0);
    this.#unsent = frame;
    const goOn = () => {
      // What was written since then has taken it along.
      let rest = this.#unsent;
      if (rest?.buffer !== frame.buffer) return done();
      for (let more = 1; more > 0 && rest.length > 0; rest = rest.subarray(more))
        more = this.#offer(rest, 0, rest.length);
      this.#unsent = rest.length > 0 ? rest : null;
      if (rest.length > 0) setTimeout(goOn, chunkPauseMs);
      else done();
    };
    goOn();
  }

  /** How many of the bytes were taken; 0 when none can be at the moment. */
  #offer(frame, from, to) {
    try {
      return writeSync(this.#fd, frame, from, to - from);
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
      return 0;
    }
  }
}

/**
 * Reads into `buffer`: `heard` is told how many bytes each time, and `ended` when no more will come. It is what is beneath
 * Node's sockets: those bring two dozen modules of streams with them, which take a tenth of a start, and many functions
 * never need them. Null where this Node.js doesn't have it.
 */
function pipeOf(fd, buffer, heard, ended) {
  try {
    const { Pipe, constants } = process.binding("pipe_wrap");
    const { kReadBytesOrError, streamBaseState } = process.binding("stream_wrap");
    const pipe = new Pipe(constants.SOCKET);
    pipe.useUserBuffer(buffer);
    pipe.onread = () => {
      const length = streamBaseState[kReadBytesOrError];
      if (length > 0) heard(length);
      else if (length < 0) pipe.close(ended);
    };
    return pipe.open(fd) || pipe.readStart() ? null : pipe;
  } catch {
    return null;
  }
}

function socketOf(fd, buffer, heard, ended) {
  const { Socket } = require("node:net");
  const onread = { buffer, callback: (length) => heard(length) !== false };
  const socket = new Socket({ fd, readable: true, writable: false, onread });
  return socket.on("error", ended).on("close", ended).resume();
}

function frameOf(type, texts, payload) {
  const frame = Buffer.allocUnsafeSlow(headBytes + 256 * texts.length + payload.length);
  return frame.subarray(0, fill(frame, type, texts, payload, payload.length));
}

/** Gives the frame's length. */
function fill(frame, type, texts, payload, payloadBytes) {
  let at = headBytes;
  for (const text of texts) {
    const length = frame.write(text, at + 1, 255);
    frame[at] = length;
    at += 1 + length;
  }
  if (typeof payload === "string") frame.write(payload, at);
  else frame.set(payload, at);
  at += payloadBytes;
  frame.writeUInt32BE(at - 4, 0);
  frame[4] = type;
  return at;
}

/** Cuts what arrives in pieces of any size into frames: `onFrame(type, body)`, the body only valid during the call. */
class FrameReader {
  #onFrame;
  #pending = Buffer.alloc(0);
  #filled = 0;

  constructor(onFrame) {
    this.#onFrame = onFrame;
  }

  read(chunk) {
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#filled === 0 && rest.length >= headBytes) {
        const end = 4 + rest.readUInt32BE(0);
        if (end <= rest.length) {
          this.#onFrame(rest[4], rest.subarray(headBytes, end));
          rest = rest.subarray(end);
          continue;
        }
      }
      rest = this.#collect(rest);
    }
  }

  /** Stores the pieces of a frame that comes in several; gives what follows it. */
  #collect(chunk) {
    if (this.#pending.length === 0) this.#pending = Buffer.allocUnsafe(headBytes);
    const taken = chunk.copy(this.#pending, this.#filled);
    this.#filled += taken;
    if (this.#filled === this.#pending.length) {
      const end = 4 + this.#pending.readUInt32BE(0);
      if (this.#filled < end) {
        const whole = Buffer.allocUnsafe(end);
        this.#pending.copy(whole);
        this.#pending = whole;
      } else {
        const frame = this.#pending;
        this.#pending = Buffer.alloc(0);
        this.#filled = 0;
        this.#onFrame(frame[4], frame.subarray(headBytes));
      }
    }
    return chunk.subarray(taken);
  }
}

/** Splits the body of an event frame: `{header, payload}`, the payload as bytes of the body. */
function parseEvent(body) {
  const payloadAt = 4 + body.readUInt32BE(0);
  return { header: JSON.parse(body.toString("utf8", 4, payloadAt)), payload: body.subarray(payloadAt) };
}

module.exports = { maxPayloadBytes, Channel, FrameReader, parseEvent };
