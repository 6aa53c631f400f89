/** What comes of an answer of the process to the running invocation. */
import { and, not } from "xstate";

export const answered = [
  { guard: and(["isItsOwnAndLingers", "wantsTail"]), target: "settling", actions: "rememberEnd" },
  { guard: "isItsOwnAndLingers", target: "settling", actions: ["rememberEnd", "sayReturned"] },
  { guard: "isItsOwn", target: "#sandbox.idle.ready", actions: "sayResult" },
] as const;

/** The caller has been told an end already. With extensions it isn't over before they are done. */
export const answeredLate = {
  guard: and(["isItsOwn", not("lingers")]),
  target: "#sandbox.idle.ready",
  actions: "sayResult",
} as const;
