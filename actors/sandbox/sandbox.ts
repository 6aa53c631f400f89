/** What one sandbox is made of, what it holds, hears and says. */
import type { FunctionSpec } from "../../subjects/function.ts";
import type { Call } from "../../subjects/worker.ts";
import type { Outcome, ProcessEnd } from "./outcome.ts";
import type { RuntimeError } from "./policy.ts";
import type { InitPhase, ShutdownReason } from "./runtime-init.ts";
import type { ProcessStreamed, Streamed } from "./streamed.ts";

/** One invocation as the sandbox holds it. `startedUs` is monotonic, `startedAt` epoch ms. */
export interface Job {
  readonly call: Call;
  readonly startedUs: number;
  readonly startedAt: number;
  /** Whether the caller paid for an init: the first invocation, and any that had to boot again. */
  readonly cold: boolean;
  /** Whether creating and initialising happen inside this invocation's own time, because the sandbox had lost its process. */
  readonly bootsAgain: boolean;
}

export interface SandboxInput {
  readonly sandboxId: string;
  readonly workerId: string;
  readonly poolId: string;
  readonly spec: FunctionSpec;
  readonly isolation: string;
  readonly limits: {
    readonly initMs: number;
    readonly idleMs: number;
    /** Idle for so long, it is frozen; never without it. More than the pauses in a burst, which then doesn't pay for it. */
    readonly freezeMs?: number;
  };
}

export interface SandboxContext extends SandboxInput {
  readonly createUs: number;
  readonly initUs: number;
  /** It was booted before it was needed, and became this function's then. */
  readonly fromStem: boolean;
  readonly invocations: number;
  /** Monotonic microseconds at which the last invocation came; 0 before the first. */
  readonly lastUsedUs: number;
  readonly job: Job | null;
  /** Why it has to go after the running invocation; empty when it may stay. */
  readonly leaving: string;
  /** Its process has extensions: they are at work after the answer, and are told before it ends. */
  readonly lingers: boolean;
  /** What the caller has been told, while the invocation isn't over yet. */
  readonly returned: Outcome | null;
  /** What the running invocation's caller has got of a streamed response. */
  readonly streamed: Streamed;
}

export type SandboxEvent =
  | { type: "sandbox.invoke"; call: Call; payload: Uint8Array; us: number; at: number }
  | { type: "sandbox.stop"; reason: string }
  | { type: "process.booted"; createUs: number; fromStem?: boolean; lingers?: boolean }
  | { type: "process.ready"; initUs: number; lingers?: boolean }
  | ProcessStreamed
  | { type: "process.settled"; us: number }
  | { type: "process.gone"; us: number }
  | ProcessEnd;

export type SandboxEmitted =
  | { type: "started"; sandbox: SandboxContext; job: Job }
  | { type: "returned" | "finished"; sandbox: SandboxContext; job: Job; outcome: Outcome }
  | { type: "streamed"; sandbox: SandboxContext; job: Job; contentType: string; payload: Uint8Array }
  | { type: "refused"; sandbox: SandboxContext; call: Call; why: string }
  | {
      type: "reported";
      sandbox: SandboxContext;
      state: "idle" | "failed" | "dead";
      reason: string;
      error?: RuntimeError;
    };

/** What the machine tells its process, see effects.ts. */
export type ProcessCommand =
  | { type: "boot"; spec: FunctionSpec; phase: InitPhase }
  | { type: "deliver"; call: Call; payload: Uint8Array; deadlineAt: number }
  | { type: "freeze" }
  | { type: "thaw" }
  | { type: "kill"; reason: ShutdownReason };
