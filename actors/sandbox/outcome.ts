/** How an invocation ends, read from what its process did. */
import { MAX_STREAM_BYTES } from "../../subjects/response-stream.ts";
import { exitError, type ProcessExit, type RuntimeError, responseTooLarge, timedOut } from "./policy.ts";
import type { ProcessStreamed } from "./streamed.ts";

/** What the process knows at the end of an invocation. `tail` is the last of its log, when the caller asked for it. */
export interface Usage {
  readonly peakMemoryMiB: number;
  readonly tail: string | undefined;
}

/**
 * What a process does that ends an init or an invocation. `us` is monotonic. One that exited lingers when its extensions
 * are still being told; it's gone later.
 */
export type ProcessEnd =
  | { type: "process.initFailed"; error: RuntimeError }
  | { type: "process.responded"; requestId: string; payload: Uint8Array; us: number; usage: Usage }
  | { type: "process.failed"; requestId: string; error: RuntimeError; us: number; usage: Usage }
  | { type: "process.exited"; exit: ProcessExit; us: number; usage: Usage; lingers?: true };

export type Outcome =
  | { readonly kind: "ok"; readonly payload: Uint8Array; readonly us: number; readonly usage: Usage }
  | { readonly kind: "error"; readonly error: RuntimeError; readonly us: number; readonly usage: Usage }
  | { readonly kind: "timeout"; readonly error: RuntimeError };

const NOTHING_USED: Usage = { peakMemoryMiB: 0, tail: undefined };

/**
 * Of whatever event ended it: one that the process has no part in means that its time is over. Where the caller has been
 * told, the event only says when all of it was over.
 */
export function outcomeOf(
  event: ProcessEnd | ProcessStreamed | { type: string; us?: number },
  returned: Outcome | null,
  requestId: string,
  timeoutMs: number,
): Outcome {
  if (returned !== null && returned.kind !== "timeout")
    return { ...returned, us: ("us" in event && event.us) || returned.us };
  if (returned !== null) return returned;
  return isProcessEnd(event) ? endOf(event, requestId) : { kind: "timeout", error: timedOut(requestId, timeoutMs) };
}

const isProcessEnd = (event: { type: string }): event is ProcessEnd | ProcessStreamed =>
  event.type.startsWith("process.");

function endOf(event: ProcessEnd | ProcessStreamed, requestId: string): Outcome {
  switch (event.type) {
    case "process.responded":
      return { kind: "ok", payload: event.payload, us: event.us, usage: event.usage };
    case "process.failed":
      return { kind: "error", error: event.error, us: event.us, usage: event.usage };
    case "process.streamed":
      return { kind: "error", error: responseTooLarge(MAX_STREAM_BYTES), us: event.us, usage: NOTHING_USED };
    case "process.initFailed":
      return { kind: "error", error: event.error, us: 0, usage: NOTHING_USED };
    case "process.exited":
      return { kind: "error", error: exitError(requestId, event.exit), us: event.us, usage: event.usage };
  }
}
