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
 * Without that header the whole response comes in one message, from functions that stream as well. A function that doesn't
 * stream answers a caller who asks for it with its response in chunks, and the end.
 */
import * as H from "./headers.ts";

/** What a caller's `X-Amz-Invocation-Type` says. */
export const RESPONSE_STREAM = "ResponseStream";

/** Far below what any server lets pass, and large enough that a message costs little beside what it carries. */
export const MAX_CHUNK_BYTES = 128 * 1024;

/** Source: Lambda quotas, "Invocation payload" of streamed responses. */
export const MAX_STREAM_BYTES = 200 * 1024 * 1024;

/** The values of `Mayfly-Event-Type`: the events of Lambda's response stream. */
export const PAYLOAD_CHUNK = "PayloadChunk";
export const INVOKE_COMPLETE = "InvokeComplete";

/** How many messages these bytes take. */
export const chunksOf = (bytes: number): number => Math.ceil(bytes / MAX_CHUNK_BYTES);

export interface Chunk {
  readonly payload: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

/** The messages of one piece of the response. `before` of the response have been sent. */
export function* chunks(piece: Uint8Array, requestId: string, before: number, contentType: string): Generator<Chunk> {
  for (let at = 0, sequence = before + 1; at < piece.length; at += MAX_CHUNK_BYTES, sequence++) {
    yield {
      payload: piece.subarray(at, at + MAX_CHUNK_BYTES),
      headers: {
        [H.EVENT_TYPE]: PAYLOAD_CHUNK,
        [H.REQUEST_ID]: requestId,
        [H.SEQUENCE]: String(sequence),
        ...(sequence === 1 && contentType !== "" ? { [H.CONTENT_TYPE]: contentType } : {}),
      },
    };
  }
}

/** What marks the end, after `before` messages. */
export const completion = (before: number): Readonly<Record<string, string>> => ({
  [H.EVENT_TYPE]: INVOKE_COMPLETE,
  [H.SEQUENCE]: String(before + 1),
});
