/** What the running invocation's caller has got of a streamed response, and what he may still get. */
import { and } from "xstate";
import { chunksOf, MAX_STREAM_BYTES, type Sent } from "../../subjects/response-stream.ts";
import type { Call } from "../../subjects/worker.ts";

/** A piece of the response: one that makes it too large ends the invocation. */
export interface ProcessStreamed {
  readonly type: "process.streamed";
  readonly requestId: string;
  /** Empty for JSON. */
  readonly contentType: string;
  readonly payload: Uint8Array;
  readonly us: number;
}

/** What is known of who reads it: how far he has come, or that he reads no more. */
export type ReaderEvent =
  | { readonly type: "reader.took"; readonly requestId: string; readonly bytes: number }
  | { readonly type: "reader.lost"; readonly requestId: string; readonly us: number };

/** He is waited for. */
export interface ReaderAwaited {
  readonly type: "reader.awaited";
  readonly requestId: string;
}

const kill = { type: "kill", params: "failure" } as const;

export const NOTHING_STREAMED: Sent = { messages: 0, bytes: 0 };

/** Whether the call that runs wants what the event brings. */
export const isWanted = (call: Call | undefined, event: object): event is ProcessStreamed =>
  call?.streams === true && isPiece(event) && event.requestId === call.requestId;

export const hasRoom = ({ bytes }: Sent, event: object): boolean =>
  isPiece(event) && bytes + event.payload.length <= MAX_STREAM_BYTES;

export function withPiece(streamed: Sent, event: object): Sent {
  const bytes = isPiece(event) ? event.payload.length : 0;
  return { messages: streamed.messages + chunksOf(bytes), bytes: streamed.bytes + bytes };
}

export function pieceOf(event: object): Pick<ProcessStreamed, "contentType" | "payload"> {
  const { contentType, payload } = event as ProcessStreamed;
  return { contentType, payload };
}

/** What may come of a piece. What goes on streaming beyond the limit has to be ended. */
const pieceHeard = [
  { guard: and(["isWantedPiece", "hasRoom"]), actions: ["sayStreamed", "countStreamed"] },
  { guard: "isWantedPiece", target: "ending", actions: ["rememberEnd", kill] },
] as const;

/** While the invocation runs. Who reads no more is told so, should he listen still; the function goes on to its end. */
export const streamHeard = {
  "process.streamed": pieceHeard,
  "reader.awaited": { guard: "isItsOwn", actions: "sayAwaited" },
  "reader.took": { guard: "isItsOwn", actions: "tellOfReader" },
  "reader.lost": {
    guard: "isItsOwn",
    target: "settling",
    actions: ["rememberEnd", "sayReturned", "tellOfReader"],
  },
} as const;

const isPiece = (event: object): event is ProcessStreamed => "type" in event && event.type === "process.streamed";
