/** How an invocation ends, read from what its process did. */
import { MAX_STREAM_BYTES } from "../../subjects/response-stream.ts";
import {
  abandoned,
  exitError,
  type HostFault,
  type ProcessExit,
  type RuntimeError,
  readerLost,
  responseTooLarge,
  timedOut,
} from "./policy.ts";
import type { ProcessStreamed, ReaderEvent } from "./streamed.ts";

/** What the process knows at the end of an init or an invocation. `tail` is the last of its log, when the caller asked for it. */
export interface Usage {
  readonly peakMemoryMiB: number;
  readonly tail: Tail | undefined;
}

/** Lines with their ends: those of the init before the first event of a process, and those since the event. */
export interface Tail {
  readonly init: string;
  readonly event: string;
}

/**
 * What a process does that ends an init or an invocation. `us` is monotonic. One that exited lingers when its extensions
 * are still being told; it's gone later.
 */
export type ProcessEnd =
  | { type: "process.initFailed"; error: RuntimeError; us: number; usage: Usage }
  | { type: "process.responded"; requestId: string; payload: Uint8Array; us: number; usage: Usage }
  | { type: "process.failed"; requestId: string; error: RuntimeError; us: number; usage: Usage }
  | { type: "process.exited"; exit: ProcessExit; us: number; usage: Usage; lingers?: true };

/**
 * Its host could not make the process, or boot it again: the platform's fault, which the function has no part in. Nothing of
 * the function has run.
 */
export interface NotMade {
  readonly type: "process.notMade";
  readonly fault: HostFault;
}

export type Outcome =
  | { readonly kind: "ok"; readonly payload: Uint8Array; readonly us: number; readonly usage: Usage }
  | { readonly kind: "error"; readonly error: RuntimeError; readonly us: number; readonly usage: Usage }
  /** Its worker had been given up: the function has no part in that. `error` is for its log. */
  | { readonly kind: "lost"; readonly error: RuntimeError; readonly us: number; readonly usage: Usage }
  | { readonly kind: "timeout"; readonly error: RuntimeError };

/**
 * Of whatever event ended it: one that the process has no part in means that its time is over. Where the caller has been
 * told, the event only says when all of it was over.
 */
export function outcomeOf(
  event: ProcessEnd | ProcessStreamed | ReaderEvent | { type: string; us?: number; usage?: Usage },
  returned: Outcome | null,
  requestId: string,
  timeoutMs: number,
): Outcome {
  if (returned !== null && returned.kind !== "timeout") {
    const usage = ("usage" in event && returned.usage === UNMEASURED && event.usage) || returned.usage;
    return { ...returned, us: ("us" in event && event.us) || returned.us, usage };
  }
  if (returned !== null) return returned;
  const us = ("us" in event && event.us) || 0;
  if (event.type === "reader.lost") return { kind: "error", error: readerLost(requestId), us, usage: UNMEASURED };
  if (event.type === "sandbox.stop") return { kind: "lost", error: abandoned(requestId), us, usage: UNMEASURED };
  return isProcessEnd(event) ? endOf(event, requestId) : { kind: "timeout", error: timedOut(requestId, timeoutMs) };
}

const UNMEASURED: Usage = { peakMemoryMiB: 0, tail: undefined };

const isProcessEnd = (event: { type: string }): event is ProcessEnd | ProcessStreamed =>
  event.type.startsWith("process.") && event.type !== "process.notMade";

function endOf(event: ProcessEnd | ProcessStreamed, requestId: string): Outcome {
  switch (event.type) {
    case "process.responded":
      return { kind: "ok", payload: event.payload, us: event.us, usage: event.usage };
    case "process.failed":
      return { kind: "error", error: event.error, us: event.us, usage: event.usage };
    case "process.streamed":
      return {
        kind: "error",
        error: responseTooLarge(MAX_STREAM_BYTES),
        us: event.us,
        usage: UNMEASURED,
      };
    case "process.initFailed":
      return { kind: "error", error: event.error, us: event.us, usage: event.usage };
    case "process.exited":
      return { kind: "error", error: exitError(requestId, event.exit), us: event.us, usage: event.usage };
  }
}

/** Why a sandbox came to nothing, where its process says so. */
export function errorOf(event: { type: string } | ProcessEnd): { readonly error?: RuntimeError } {
  const outcome = outcomeOf(event, null, "", 0);
  return outcome.kind === "error" ? { error: outcome.error } : {};
}

/** Where it came to nothing by its host's fault. */
export const faultOf = (event: { type: string } | NotMade): HostFault | undefined =>
  event.type === "process.notMade" && "fault" in event ? event.fault : undefined;

/** How an init ended, and how long it took, in microseconds. `stopped`: the sandbox isn't needed any more. */
export type InitEnd = { readonly us: number } & (
  | { readonly status: "success" | "timeout" | "stopped" }
  | { readonly status: "error"; readonly errorType: string }
);

/** Of whatever event ended it; as `outcomeOf`. `limitUs` is what it may take. */
export function initEndOf(
  event: ProcessEnd | { type: "process.ready"; initUs: number } | { type: string },
  beganUs: number,
  limitUs: number,
): InitEnd {
  if ("initUs" in event) return { status: "success", us: event.initUs };
  if (event.type === "sandbox.stop" || event.type === "process.notMade") return { status: "stopped", us: 0 };
  const outcome = outcomeOf(event, null, "", 0);
  return outcome.kind === "error"
    ? { status: "error", errorType: outcome.error.errorType, us: Math.round(outcome.us - beganUs) }
    : { status: "timeout", us: limitUs };
}
