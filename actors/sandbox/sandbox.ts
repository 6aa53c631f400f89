/** What one sandbox is made of, what it holds, hears and says. */
import type { FunctionSpec } from "../../subjects/function.ts";
import type { Sent } from "../../subjects/response-stream.ts";
import type { Call } from "../../subjects/worker.ts";
import type { InitEnd, NotMade, Outcome, ProcessEnd } from "./outcome.ts";
import type { HostFault, RuntimeError } from "./policy.ts";
import type { ShutdownReason } from "./runtime-init.ts";
import { NOTHING_STREAMED, type ProcessStreamed, type ReaderAwaited, type ReaderEvent } from "./streamed.ts";

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

/** A boot, until its init is over; `isSecond` of the same init. `startedUs` is monotonic. */
export interface Begun {
  readonly spec: FunctionSpec;
  readonly call: Call | null;
  readonly turn: number;
  readonly startedUs: number;
  readonly isSecond?: true;
}

export interface SandboxInput {
  readonly sandboxId: string;
  readonly workerId: string;
  readonly poolId: string;
  /** The front end that it is made for, and granted to when it has become usable. */
  readonly wantedBy?: string | undefined;
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
  /** When the latest process began its init: monotonic microseconds, and epoch ms. */
  readonly bootedUs: number;
  readonly bootedAt: number;
  /** The latest process's runtime with its version, such as `nodejs:24.1.0`. */
  readonly runtimeVersion: string;
  /** How the latest process's init ended; null before it has. */
  readonly initEnd: InitEnd | null;
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
  readonly streamed: Sent;
}

/** What there is to know of a new one. */
export const BLANK: Omit<SandboxContext, keyof SandboxInput> = {
  createUs: 0,
  initUs: 0,
  bootedUs: 0,
  bootedAt: 0,
  runtimeVersion: "",
  initEnd: null,
  fromStem: false,
  invocations: 0,
  lastUsedUs: 0,
  job: null,
  leaving: "",
  lingers: false,
  returned: null,
  streamed: NOTHING_STREAMED,
};

/** What changes when it takes an invocation. */
export const withJob = (
  { invocations }: SandboxContext,
  { call, payload, us, at }: Extract<SandboxEvent, { type: "sandbox.invoke" }>,
  how: Pick<Job, "cold" | "bootsAgain">,
) => ({
  job: { call, startedUs: us, startedAt: at, ...how },
  ...(how.bootsAgain ? { createUs: 0, initUs: 0, initEnd: null } : {}),
  payload,
  streamed: NOTHING_STREAMED,
  invocations: invocations + 1,
  lastUsedUs: us,
});

export type SandboxEvent =
  | { type: "sandbox.invoke"; call: Call; payload: Uint8Array; us: number; at: number }
  /** `atOnce`: in the middle of an invocation. `us` is monotonic. */
  | { type: "sandbox.stop"; reason: string; us?: number; atOnce?: true | undefined }
  | Booted
  | { type: "process.ready"; initUs: number; lingers?: boolean }
  | ProcessStreamed
  | ReaderAwaited
  | ReaderEvent
  | { type: "process.settled"; us: number }
  | { type: "process.gone"; us: number }
  | NotMade
  | ProcessEnd;

/** Its init begins. `us` is monotonic, `at` epoch ms. */
export interface Booted {
  readonly type: "process.booted";
  readonly createUs: number;
  readonly us: number;
  readonly at: number;
  readonly runtimeVersion: string;
  readonly fromStem?: boolean;
  readonly lingers?: boolean;
}

export type SandboxEmitted =
  | { type: "initBegan" | "initEnded"; sandbox: SandboxContext }
  /** `awaited`: whoever reads the response. */
  | { type: "started" | "awaited"; sandbox: SandboxContext; job: Job }
  | { type: "returned" | "finished"; sandbox: SandboxContext; job: Job; outcome: Outcome }
  | { type: "streamed"; sandbox: SandboxContext; job: Job; contentType: string; payload: Uint8Array }
  /** Not run. `alive`: it takes another one. */
  | { type: "refused"; sandbox: SandboxContext; call: Call; why: string; alive: boolean }
  | {
      type: "reported";
      sandbox: SandboxContext;
      state: "idle" | "failed" | "dead";
      reason: string;
      error?: RuntimeError;
      fault?: HostFault | undefined;
    };

/** What the machine tells its process, see effects.ts. `boot` names the call inside whose time it boots, if there is one. */
export type ProcessCommand =
  | { type: "boot"; spec: FunctionSpec; call: Call | null }
  | { type: "giveUp" }
  | { type: "deliver"; call: Call; payload: Uint8Array; deadlineAt: number }
  | { type: "freeze" }
  | { type: "thaw" }
  | ReaderEvent
  | { type: "kill"; reason: ShutdownReason };
