/**
 * A streamed response: what a caller gets who invokes with `X-Amz-Invocation-Type: ResponseStream`, as Lambda's
 * InvokeWithResponseStream gives it. To watch one:
 *
 *     nats req --replies=0 --reply-timeout=1m --wait-for-empty -H 'X-Amz-Invocation-Type: ResponseStream' mayfly.invoke.hello '{}'
 *
 * To the reply subject come, in this order:
 *   any number of  `Mayfly-Event-Type: PayloadChunk`: some bytes of the response as they were produced, at least one and
 *                  {@link MAX_CHUNK_BYTES} at most; the first also carries the `Content-Type`, if it isn't JSON
 *   one            `Mayfly-Event-Type: InvokeComplete`: the headers of any answer (request id, executed version, receipt, …).
 *                  It is empty when the function succeeded; else it carries `X-Amz-Function-Error` and the error's JSON, and
 *                  the chunks before it are what there was until then
 * `Mayfly-Sequence` counts both from 1: a gap is a message that was lost on the way. A refusal is the end as well, whenever
 * it comes (nothing has run, or the worker was lost in the middle); it is told by its `Nats-Service-Error`, as everywhere.
 *
 * NATS holds nobody back: a connection that reads more slowly than the response comes is cut off by the server in the end. Who
 * may be slow asks with `Mayfly-Flow-Control: true` as well. Then some chunks carry a reply subject, and who has read that far
 * publishes an empty message to it (`message.respond()`). No more than a window is sent beyond what was acknowledged, the
 * function's writes wait for it, and its time runs on. While it waits, `Mayfly-Event-Type: ReaderAwaited` comes every
 * {@link READER_ASKED_MS}: it is empty, isn't counted, and is acknowledged as a chunk is. A reader who has gone when the next
 * message comes that is to be acknowledged, or who acknowledges nothing for {@link READER_PATIENCE_MS} while he is waited for,
 * is told the end by the error `Sandbox.ReaderLost`; the function runs to its end, as on Lambda, and nobody reads the rest.
 *
 * Without the first header the whole response comes in one message, from functions that stream as well. A function that doesn't
 * stream answers a caller who asks for it with its response in chunks, and the end.
 */
import { raw } from "./contract.ts";
import * as H from "./headers.ts";

/** What a caller's `X-Amz-Invocation-Type` says. */
export const RESPONSE_STREAM = "ResponseStream";

/** Far below what any server lets pass, and large enough that a message costs little beside what it carries. */
export const MAX_CHUNK_BYTES = 128 * 1024;

/** Source: Lambda quotas, "Invocation payload" of streamed responses. */
export const MAX_STREAM_BYTES = 200 * 1024 * 1024;

/**
 * Of a response with flow control, what is sent and not acknowledged yet: enough that a reader at the far end of a continent
 * isn't held back, and a small part of what a server queues for a connection.
 */
export const WINDOW_BYTES = 1024 * 1024;

/** An acknowledgement is asked for so often: a window has several, so that a reader who keeps up never waits. */
const ACKNOWLEDGED_BYTES = WINDOW_BYTES / 4;

/** Who has gone is noticed about so soon: the server answers for him. */
export const READER_ASKED_MS = 1000;

/** As long as a server waits for a connection that answers none of its pings. */
export const READER_PATIENCE_MS = 30_000;

/**
 * Empty: the caller has read the response up to so many bytes. It isn't among the platform's own subjects, because callers
 * publish it; the server says there as well that nobody listens any more where the response goes.
 */
export const Taken = raw("mayfly.taken.{workerId}.{sandboxId}.{requestId}.{bytes}");

/** The values of `Mayfly-Event-Type`: the events of Lambda's response stream. */
export const PAYLOAD_CHUNK = "PayloadChunk";
export const INVOKE_COMPLETE = "InvokeComplete";
/** Ours: Lambda holds its callers' connections itself. */
export const READER_AWAITED = "ReaderAwaited";

/** How many messages these bytes take. */
export const chunksOf = (bytes: number): number => Math.ceil(bytes / MAX_CHUNK_BYTES);

export interface Chunk {
  readonly payload: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
  /** Where its reader says that it has been read. */
  readonly replyTo?: string;
}

/** What has been sent of a response. */
export interface Sent {
  readonly messages: number;
  readonly bytes: number;
}

export interface Piece {
  readonly requestId: string;
  readonly contentType: string;
  readonly payload: Uint8Array;
  /** With flow control: where it is acknowledged that so many bytes have been read. */
  readonly takenAt?: ((bytes: number) => string) | undefined;
}

/** The messages of one piece of the response, after what has been sent of it. */
export function* chunks({ requestId, contentType, payload, takenAt }: Piece, sent: Sent): Generator<Chunk> {
  for (let at = 0, sequence = sent.messages + 1; at < payload.length; at += MAX_CHUNK_BYTES, sequence++) {
    const part = payload.subarray(at, at + MAX_CHUNK_BYTES);
    const before = sent.bytes + at;
    yield {
      payload: part,
      headers: {
        [H.EVENT_TYPE]: PAYLOAD_CHUNK,
        [H.REQUEST_ID]: requestId,
        [H.SEQUENCE]: String(sequence),
        ...(sequence === 1 && contentType !== "" ? { [H.CONTENT_TYPE]: contentType } : {}),
      },
      ...(takenAt !== undefined && isAsked(before, before + part.length)
        ? { replyTo: takenAt(before + part.length) }
        : {}),
    };
  }
}

/** Asks a reader who is waited for whether he is there, and how far he has come. */
export const awaited = (requestId: string, takenAt: string): Chunk => ({
  payload: new Uint8Array(),
  headers: { [H.EVENT_TYPE]: READER_AWAITED, [H.REQUEST_ID]: requestId },
  replyTo: takenAt,
});

const isAsked = (from: number, to: number): boolean =>
  Math.floor(from / ACKNOWLEDGED_BYTES) < Math.floor(to / ACKNOWLEDGED_BYTES);

/** What marks the end, after `before` messages. */
export const completion = (before: number): Readonly<Record<string, string>> => ({
  [H.EVENT_TYPE]: INVOKE_COMPLETE,
  [H.SEQUENCE]: String(before + 1),
});
