/** What the runtime says at the end of an init or an invocation, and why there is none, as the sandbox hears it. */
import { MAX_PAYLOAD_BYTES } from "../../subjects/invoke.ts";
import type { RuntimeFrame } from "./frames.ts";
import type { NotMade, ProcessEnd, Usage } from "./outcome.ts";
import { initError, notMade, responseTooLarge } from "./policy.ts";
import type { RuntimeInit } from "./runtime-init.ts";
import type { Begun, Booted } from "./sandbox.ts";

export type AnswerFrame = Extract<RuntimeFrame, { type: "initError" | "response" | "error" }>;

/** `us` is monotonic; of what only the driver knows. */
export function bootedOf(begun: Begun, init: RuntimeInit, how: Pick<Booted, "us" | "fromStem" | "lingers">): Booted {
  const createUs = Math.round(how.us - begun.startedUs);
  const runtimeVersion = init.runtimeVersion ?? init.runtime;
  return { type: "process.booted", createUs, at: Date.now(), runtimeVersion, ...how };
}

/** `us` is monotonic. */
export function answerOf(frame: AnswerFrame, us: number, usage: Usage): ProcessEnd {
  if (frame.type === "initError") {
    const error = initError(frame.errorType, frame.payload.toString("utf8"));
    return { type: "process.initFailed", error, us, usage };
  }
  const { requestId, payload } = frame;
  if (frame.type === "response" && payload.length <= MAX_PAYLOAD_BYTES) {
    return { type: "process.responded", requestId, payload, us, usage };
  }
  const error =
    frame.type === "error"
      ? { errorType: frame.errorType, payload: payload.toString("utf8") }
      : responseTooLarge(MAX_PAYLOAD_BYTES);
  return { type: "process.failed", requestId, error, us, usage };
}

/** Of what a driver, or whoever fetches code and runtime, could not do. */
export function notMadeOf(cause: unknown, us: number, usage: Usage): ProcessEnd | NotMade {
  const why = notMade(cause);
  return "fault" in why ? { type: "process.notMade", ...why } : { type: "process.initFailed", ...why, us, usage };
}
