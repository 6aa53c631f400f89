/** What a sandbox says of an invocation and of itself, as values. */
import type { Call } from "../../subjects/worker.ts";
import { errorOf, faultOf, type Outcome } from "./outcome.ts";
import { type HostFault, isSpent } from "./policy.ts";
import type { Job, SandboxContext, SandboxEvent } from "./sandbox.ts";

export interface Report {
  readonly state: "idle" | "failed" | "dead";
  readonly reason: string;
  /** Where no event tells it. */
  readonly fault?: HostFault;
}

export const began = (sandbox: SandboxContext) => ({ type: "started", sandbox, job: sandbox.job as Job }) as const;

export const told = <T extends "returned" | "finished">(type: T, sandbox: SandboxContext, outcome: Outcome) =>
  ({ type, sandbox, job: sandbox.job as Job, outcome }) as const;

/** To who invokes it while it takes no invocation. */
export const refused = (sandbox: SandboxContext, event: { readonly type: string }, why: string) =>
  ({ type: "refused", sandbox, call: (event as { call: Call } & typeof event).call, why, alive: true }) as const;

/** To who has invoked it, and nothing of that could be run. */
export const refusedUnmade = (sandbox: SandboxContext, event: { readonly type: string }) =>
  ({
    type: "refused",
    sandbox,
    call: (sandbox.job as Job).call,
    why: faultOf(event)?.name ?? "",
    alive: false,
  }) as const;

/** Why it has to go when it is idle, as of an event; empty when it may stay. */
export function leavingOf({ leaving, spec }: SandboxContext, event: SandboxEvent): string {
  if (event.type === "sandbox.stop") return event.reason;
  if (event.type === "process.exited" && isSpent(event.exit, spec.memoryMiB)) return "its memory is full of its /tmp";
  return leaving;
}

/** A failure is told with the function's error, or with its host's fault. */
export const reported = (sandbox: SandboxContext, event: { readonly type: string }, report: Report) =>
  ({
    type: "reported",
    sandbox,
    ...report,
    ...(report.state === "failed" ? { ...errorOf(event), fault: report.fault ?? faultOf(event) } : {}),
  }) as const;
