/** What the running invocation's caller has got of a streamed response, and what he may still get. */
import { and } from "xstate";
import { chunksOf, MAX_STREAM_BYTES } from "../../subjects/response-stream.ts";
import type { Call } from "../../subjects/worker.ts";

export interface Streamed {
  readonly messages: number;
  readonly bytes: number;
}

/** A piece of the response: one that makes it too large ends the invocation. */
export interface ProcessStreamed {
  readonly type: "process.streamed";
  readonly requestId: string;
  /** Empty for JSON. */
  readonly contentType: string;
  readonly payload: Uint8Array;
  readonly us: number;
}

const kill = { type: "kill", params: "failure" } as const;

export const NOTHING_STREAMED: Streamed = { messages: 0, bytes: 0 };

/** Whether the call that runs wants what the event brings. */
export const isWanted = (call: Call | undefined, event: object): event is ProcessStreamed =>
  call?.streams === true && isPiece(event) && event.requestId === call.requestId;

export const hasRoom = ({ bytes }: Streamed, event: object): boolean =>
  isPiece(event) && bytes + event.payload.length <= MAX_STREAM_BYTES;

export function withPiece(streamed: Streamed, event: object): Streamed {
  const bytes = isPiece(event) ? event.payload.length : 0;
  return { messages: streamed.messages + chunksOf(bytes), bytes: streamed.bytes + bytes };
}

/** What may come of a piece while the invocation runs. What goes on streaming beyond the limit has to be ended. */
export const pieceHeard = [
  { guard: and(["isWantedPiece", "hasRoom"]), actions: ["sayStreamed", "countStreamed"] },
  { guard: and(["isWantedPiece", "lingers"]), target: "ending", actions: ["rememberReturned", "sayReturned", kill] },
  { guard: "isWantedPiece", target: "#sandbox.idle.reset", actions: ["sayResult", kill] },
] as const;

const isPiece = (event: object): event is ProcessStreamed => "type" in event && event.type === "process.streamed";
