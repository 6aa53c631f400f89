/** What the runtime says at the end of an init or an invocation, as the sandbox hears it. */
import { MAX_PAYLOAD_BYTES } from "../../subjects/invoke.ts";
import type { RuntimeFrame } from "./frames.ts";
import type { ProcessEnd, Usage } from "./outcome.ts";
import { initError, responseTooLarge } from "./policy.ts";

export type AnswerFrame = Extract<RuntimeFrame, { type: "initError" | "response" | "error" }>;

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
