/**
 * What becomes of an event after an attempt: it is done, it gets another attempt later, or it is given up with a reason.
 * Source: Lambda developer guide, "Error handling for asynchronous invocation".
 */

/** How the events of one function, or of one qualifier of it, are handled. */
export interface Rules {
  /** Attempts after the first one that the function's own errors may cost. */
  readonly retries: number;
  /** An event is given up rather than begun later than this after it was accepted. */
  readonly maxAgeMs: number;
  /** Reserved concurrency 0: nothing of it runs. */
  readonly isClosed: boolean;
  /** Before the second attempt, the third and so on; the last one holds for all that follow. */
  readonly retryDelaysMs: readonly number[];
  /** After throttles and faults of the platform: the first wait, doubled each time up to the last. */
  readonly backoffMs: { readonly min: number; readonly max: number };
}

/** How one attempt ended. */
export type Outcome =
  | { readonly kind: "ok"; readonly payload: Uint8Array; readonly executedVersion: string }
  | {
      readonly kind: "functionError";
      readonly payload: Uint8Array;
      readonly executedVersion: string;
      readonly errorType: string;
      readonly errorMessage: string;
    }
  /** By name; `code` is HTTP-like. No answer at all counts as 504. */
  | { readonly kind: "refused"; readonly code: number; readonly name: string; readonly message: string };

export type DeadReason =
  | "RetriesExhausted"
  | "EventAgeExceeded"
  | "ZeroReservedConcurrency"
  | "FunctionNotFound"
  | "InvalidRequest";

/** Where an event stands when an attempt begins or ends. Instants are epoch ms. */
export interface Standing {
  /** The attempt that comes next, or has just ended: from 1. */
  readonly attempt: number;
  /** Throttles and platform faults so far. */
  readonly setbacks: number;
  readonly acceptedAt: number;
  readonly at: number;
}

export type Verdict =
  | { readonly kind: "succeed" }
  | { readonly kind: "retry"; readonly at: number; readonly attempt: number; readonly setbacks: number }
  /** `invokes`: how often the function itself was run for it. */
  | { readonly kind: "die"; readonly reason: DeadReason; readonly invokes: number };

/** Why an event isn't begun at all, if so. */
export function beforehand(standing: Standing, rules: Rules): Verdict | undefined {
  const invokes = standing.attempt - 1;
  if (rules.isClosed) return { kind: "die", reason: "ZeroReservedConcurrency", invokes };
  if (standing.at >= standing.acceptedAt + rules.maxAgeMs) return { kind: "die", reason: "EventAgeExceeded", invokes };
  return undefined;
}

export function judge(outcome: Outcome, standing: Standing, rules: Rules): Verdict {
  const { attempt, setbacks } = standing;
  if (outcome.kind === "ok") return { kind: "succeed" };
  if (outcome.kind === "functionError") {
    if (attempt > rules.retries) return { kind: "die", reason: "RetriesExhausted", invokes: attempt };
    const delays = rules.retryDelaysMs;
    const delayMs = delays[Math.min(attempt, delays.length) - 1] ?? 0;
    return later(standing, rules, delayMs, { attempt: attempt + 1, setbacks }, attempt);
  }
  if (outcome.code === 404) return { kind: "die", reason: "FunctionNotFound", invokes: attempt - 1 };
  if (outcome.code === 400 || outcome.code === 403 || outcome.code === 413) {
    return { kind: "die", reason: "InvalidRequest", invokes: attempt - 1 };
  }
  return later(standing, rules, backoffMs(setbacks, rules.backoffMs), { attempt, setbacks: setbacks + 1 }, attempt - 1);
}

/** The wait after so many setbacks before this one. */
export function backoffMs(setbacks: number, { min, max }: Rules["backoffMs"]): number {
  return Math.min(max, min * 2 ** Math.min(setbacks, 30));
}

function later(
  { acceptedAt, at }: Standing,
  { maxAgeMs }: Rules,
  delayMs: number,
  next: { attempt: number; setbacks: number },
  invokes: number,
): Verdict {
  if (at + delayMs >= acceptedAt + maxAgeMs) return { kind: "die", reason: "EventAgeExceeded", invokes };
  return { kind: "retry", at: at + delayMs, ...next };
}
