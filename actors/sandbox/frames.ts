/**
 * The words a worker and the runtime inside a sandbox exchange, over one duplex byte stream (descriptor 3 inside).
 *
 * A frame is a u32 length of what follows, a u8 type, and a body; every number is big-endian, text is UTF-8.
 *
 * | type | name         | who     | body |
 * |------|--------------|---------|------|
 * | 0x01 | `init`       | worker  | JSON {@link RuntimeInit}; the first frame, sent once |
 * | 0x02 | `event`      | worker  | u32 header length, JSON {@link EventHeader}, payload |
 * | 0x03 | `shutdown`   | worker  | JSON {@link Shutdown}: to a host that lingers, which ends by itself then |
 * | 0x04 | `bytecode`   | worker  | what was kept of an earlier life; before `init`, to our Node.js runtimes |
 * | 0x05 | `handOver`   | worker  | empty: asks for `bytecode` at the end of init; in the place of that frame |
 * | 0x11 | `ready`      | runtime | empty, or u8 1 of a host that lingers: init is done, events are welcome; sent once |
 * | 0x12 | `initError`  | runtime | u8 length and error type, error JSON; the runtime exits afterwards |
 * | 0x13 | `response`   | runtime | u8 length and request id, u8 length and content type, payload |
 * | 0x14 | `error`      | runtime | u8 length and request id, u8 length and error type, error JSON |
 * | 0x15 | `log`        | runtime | u8 level, f64 epoch ms, u8 length and request id, text (may hold line feeds: one frame is one message) |
 * | 0x16 | `exit`       | host    | JSON `{code, signal}`: how the function's own process ended |
 * | 0x17 | `settled`    | host    | empty: the next event is welcome |
 * | 0x18 | `hostWanted` | runtime | empty: while it initialises, something in it asks for the APIs that only a host serves |
 * | 0x19 | `chunk`      | runtime | as `response`: a piece of one whose event has `streams`; more follows |
 * | 0x1a | `bytecode`   | runtime | what is worth keeping for later lives of this function version; empty when nothing is; before `ready` |
 *
 * Chunks come before the `response` that ends them with the last of the payload, which may be empty, or before an `error`.
 * An empty content type means `application/json`. An empty request id in a log means that no invocation was running.
 * `response` and `error` end the invocation and say that the next event is welcome. A host that lingers has extensions,
 * which are at work longer than the function: there `settled` is what welcomes the next event.
 *
 * The other end is code of a stranger: the decoder promises bounded memory, few frames to act on and a named error,
 * whatever arrives. `ready`, `initError`, `exit`, `hostWanted` and `bytecode` are sent once at most. No event is sent before
 * the last one's answer was heard, so a second answer in the same piece can only be forged, and a flood of them ends with
 * it. What the decoder can't judge is left to the reader: whether a request id is the one that runs, whether a payload is
 * JSON or too large.
 */

import { isUtf8 } from "node:buffer";
import { MAX_PAYLOAD_BYTES } from "../../subjects/invoke.ts";
import type { LogLevel, RuntimeInit, Shutdown } from "./runtime-init.ts";

/** The greatest length a frame may announce: a payload, and room for what accompanies it. */
export const maxFrameBytes = MAX_PAYLOAD_BYTES + 64 * 1024;

/** Log levels by their number on the wire. */
export const logLevels = ["NONE", "TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"] as const satisfies LogLevel[];

/** What accompanies a payload into the runtime. */
export interface EventHeader {
  readonly requestId: string;
  /** Epoch ms at which the invocation is over time. */
  readonly deadlineMs: number;
  readonly invokedFunctionArn: string;
  readonly traceId?: string;
  /** The client context as JSON text, already decoded from its base64 form. */
  readonly clientContext?: string;
  /** JSON text with `cognitoIdentityId` and `cognitoIdentityPoolId`. */
  readonly cognitoIdentity?: string;
  readonly tenantId?: string;
  /** The response is wanted as it is produced, in chunks. */
  readonly streams?: true;
}

export type RuntimeFrame =
  | { readonly type: "ready"; readonly lingers?: true }
  | { readonly type: "initError"; readonly errorType: string; readonly payload: Buffer }
  | { readonly type: "response"; readonly requestId: string; readonly contentType: string; readonly payload: Buffer }
  | { readonly type: "chunk"; readonly requestId: string; readonly contentType: string; readonly payload: Buffer }
  | { readonly type: "error"; readonly requestId: string; readonly errorType: string; readonly payload: Buffer }
  | {
      readonly type: "log";
      readonly level: LogLevel;
      /** Epoch ms by the sandbox's clock, as the runtime claims it. */
      readonly at: number;
      readonly requestId: string;
      readonly text: string;
    }
  | { readonly type: "exit"; readonly code: number | null; readonly signal: string | null }
  | { readonly type: "settled" | "hostWanted" }
  | { readonly type: "bytecode"; readonly payload: Buffer };

/** Why the stream can't be read any further. There is no way to find the next frame after one of these. */
export class FrameError extends Error {
  override readonly name = "FrameError";
  readonly reason: "oversized" | "unknown" | "malformed" | "unexpected";

  constructor(reason: FrameError["reason"], detail: string) {
    super(`${reason} frame: ${detail}`);
    this.reason = reason;
  }
}

const lengthBytes = 4;

const typeNames: ReadonlyMap<number, RuntimeFrame["type"]> = new Map([
  [0x11, "ready"],
  [0x12, "initError"],
  [0x13, "response"],
  [0x14, "error"],
  [0x15, "log"],
  [0x16, "exit"],
  [0x17, "settled"],
  [0x18, "hostWanted"],
  [0x19, "chunk"],
  [0x1a, "bytecode"],
]);

/** The frame that turns a booted runtime into a function. */
export const encodeInit = (init: RuntimeInit): Buffer => encodeJson(0x01, init);

export const encodeShutdown = (shutdown: Shutdown): Buffer => encodeJson(0x03, shutdown);

const encodeJson = (type: number, value: object): Buffer => encode(type, Buffer.from(JSON.stringify(value)));

export function encode(type: number, body: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(lengthBytes + 1 + body.length);
  frame.writeUInt32BE(1 + body.length, 0);
  frame[lengthBytes] = type;
  frame.set(body, lengthBytes + 1);
  return frame;
}

/** The frame that starts an invocation. An empty payload travels as `{}`, which is what a function sees on Lambda. */
export function encodeEvent(header: EventHeader, payload: Uint8Array): Buffer {
  const head = JSON.stringify(header);
  const headBytes = Buffer.byteLength(head);
  const payloadBytes = payload.length || 2;
  const frame = Buffer.allocUnsafe(lengthBytes + 5 + headBytes + payloadBytes);
  frame.writeUInt32BE(5 + headBytes + payloadBytes, 0);
  frame[lengthBytes] = 0x02;
  frame.writeUInt32BE(headBytes, lengthBytes + 1);
  frame.write(head, lengthBytes + 5, "utf8");
  if (payload.length > 0) frame.set(payload, lengthBytes + 5 + headBytes);
  else frame.write("{}", lengthBytes + 5 + headBytes, "latin1");
  return frame;
}

/**
 * Cuts what a runtime sends into frames, in pieces of any size.
 *
 * `push` never throws. It gives the frames that are complete; with `error` the stream is beyond repair, and every later
 * push gives nothing but that error. Frames that lie in one piece aren't copied: their payloads share its memory.
 * It holds at most one unfinished frame, and never more than about twice what was received of it.
 */
export class FrameDecoder {
  #pending = Buffer.alloc(0);
  #filled = 0;
  #error: FrameError | null = null;
  readonly #saidInPiece = new Set<string>();
  readonly #saidOnce = new Set<RuntimeFrame["type"]>();

  push(chunk: Buffer): { readonly frames: readonly RuntimeFrame[]; readonly error: FrameError | null } {
    const frames: RuntimeFrame[] = [];
    if (this.#error) return { frames, error: this.#error };
    this.#saidInPiece.clear();
    try {
      const rest = this.#filled > 0 ? this.#finishPending(chunk, frames) : chunk;
      this.#cut(rest, frames);
    } catch (error) {
      this.#pending = Buffer.alloc(0);
      this.#filled = 0;
      this.#error = error instanceof FrameError ? error : new FrameError("malformed", String(error));
    }
    return { frames, error: this.#error };
  }

  /** Feeds the frame begun earlier; gives what of the piece belongs to later frames. */
  #finishPending(chunk: Buffer, frames: RuntimeFrame[]): Buffer {
    let rest = chunk;
    if (this.#filled < lengthBytes) rest = this.#keep(rest, lengthBytes);
    if (this.#filled < lengthBytes) return rest;
    const total = lengthBytes + announcedLength(this.#pending, 0);
    rest = this.#keep(rest, total);
    if (this.#filled < total) return rest;
    const body = this.#pending.subarray(lengthBytes, total);
    this.#pending = Buffer.alloc(0);
    this.#filled = 0;
    frames.push(this.#parse(body));
    return rest;
  }

  #cut(chunk: Buffer, frames: RuntimeFrame[]): void {
    let at = 0;
    while (chunk.length - at >= lengthBytes) {
      const end = at + lengthBytes + announcedLength(chunk, at);
      if (end > chunk.length) break;
      frames.push(this.#parse(chunk.subarray(at + lengthBytes, end)));
      at = end;
    }
    if (at < chunk.length) this.#keep(chunk.subarray(at), chunk.length - at);
  }

  /** Judged by its type before it is read, so that refusing costs nothing. */
  #parse(frame: Buffer): RuntimeFrame {
    const type = typeNames.get(frame[0] ?? 0);
    if (type === "response" || type === "error" || type === "settled") {
      const what = type === "settled" ? type : "an answer";
      if (this.#saidInPiece.has(what)) throw new FrameError("unexpected", `${what} without an event`);
      this.#saidInPiece.add(what);
    } else if (type !== undefined && type !== "log" && type !== "chunk") {
      if (this.#saidOnce.has(type)) throw new FrameError("unexpected", `a second ${type}`);
      this.#saidOnce.add(type);
    }
    return parseFrame(frame);
  }

  /** Stores bytes until `upTo` are held; gives those left over. The store doubles, so that single bytes stay cheap. */
  #keep(chunk: Buffer, upTo: number): Buffer {
    const taken = Math.min(chunk.length, upTo - this.#filled);
    const needed = this.#filled + taken;
    if (needed > this.#pending.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, Math.min(2 * needed, lengthBytes + maxFrameBytes)));
      this.#pending.copy(grown, 0, 0, this.#filled);
      this.#pending = grown;
    }
    chunk.copy(this.#pending, this.#filled, 0, taken);
    this.#filled = needed;
    return chunk.subarray(taken);
  }
}

function announcedLength(buffer: Buffer, at: number): number {
  const length = buffer.readUInt32BE(at);
  if (length > maxFrameBytes) throw new FrameError("oversized", `${length} bytes announced, ${maxFrameBytes} allowed`);
  if (length === 0) throw new FrameError("malformed", "no type");
  return length;
}

function parseFrame(frame: Buffer): RuntimeFrame {
  switch (frame[0]) {
    case 0x11:
      if (frame.length === 1) return { type: "ready" };
      if (frame.length === 2 && frame[1] === 1) return { type: "ready", lingers: true };
      throw new FrameError("malformed", "ready with an unknown body");
    case 0x12: {
      const [errorType, at] = shortText(frame, 1);
      return { type: "initError", errorType, payload: textual(frame.subarray(at)) };
    }
    case 0x13:
    case 0x19: {
      const [requestId, afterId] = shortText(frame, 1);
      const [contentType, at] = shortText(frame, afterId);
      const type = frame[0] === 0x13 ? "response" : "chunk";
      return { type, requestId, contentType, payload: frame.subarray(at) };
    }
    case 0x14: {
      const [requestId, afterId] = shortText(frame, 1);
      const [errorType, at] = shortText(frame, afterId);
      return { type: "error", requestId, errorType, payload: textual(frame.subarray(at)) };
    }
    case 0x15:
      return parseLog(frame);
    case 0x16:
      return parseExit(frame);
    case 0x17:
    case 0x18: {
      const type = frame[0] === 0x17 ? "settled" : "hostWanted";
      if (frame.length > 1) throw new FrameError("malformed", `${type} has no body`);
      return { type };
    }
    case 0x1a:
      return { type: "bytecode", payload: frame.subarray(1) };
    default:
      throw new FrameError("unknown", `type ${frame[0]}`);
  }
}

/** Bytes that are no text become three times as many when they are read as one: never more than a payload may have. */
const textual = (bytes: Buffer): Buffer =>
  isUtf8(bytes) ? bytes : Buffer.from(bytes.toString("utf8")).subarray(0, MAX_PAYLOAD_BYTES);

function parseLog(frame: Buffer): RuntimeFrame {
  const textlessBytes = 1 + 1 + 8 + 1;
  if (frame.length < textlessBytes) throw new FrameError("malformed", "log cut short");
  const level = logLevels[frame[1]!];
  const at = frame.readDoubleBE(2);
  if (level === undefined || !Number.isFinite(at)) throw new FrameError("malformed", "log without a level or a time");
  const [requestId, textAt] = shortText(frame, 10);
  return { type: "log", level, at, requestId, text: frame.toString("utf8", textAt) };
}

function parseExit(frame: Buffer): RuntimeFrame {
  let body: unknown;
  try {
    body = JSON.parse(frame.toString("utf8", 1));
  } catch {
    throw new FrameError("malformed", "exit is not JSON");
  }
  const { code, signal } = (body ?? {}) as { code?: unknown; signal?: unknown };
  const known = (code === null || Number.isInteger(code)) && (signal === null || typeof signal === "string");
  if (!known) throw new FrameError("malformed", "exit without a code or a signal");
  return { type: "exit", code: code as number | null, signal: signal as string | null };
}

/** Reads a u8 length and that many bytes of text; also gives where it ends. */
function shortText(frame: Buffer, at: number): [text: string, end: number] {
  const length = frame[at];
  if (length === undefined || at + 1 + length > frame.length) throw new FrameError("malformed", "text cut short");
  return [frame.toString("utf8", at + 1, at + 1 + length), at + 1 + length];
}
