/**
 * A sandbox: one execution environment of one function version of one account.
 *
 * States
 *   init.booting      code and runtime are fetched, the isolation is made and its process let go, within a minute
 *   init.starting     the runtime loads the function and runs its init code, for 10 s at most
 *   idle.ready        takes one invocation
 *   idle.frozen       nobody needed it for a moment: nothing in it runs, and it takes one invocation all the same
 *   idle.reset        a timeout, a crash or a too long init cost it its process; /tmp is kept, and the next invocation
 *                     boots it again and runs init inside its own time (what Lambda calls a suppressed init)
 *   busy.booting, busy.starting, busy.running
 *   dead              gone for good
 * Hears  sandbox.invoke · sandbox.stop — from outside
 *        process.booted · process.ready · process.initFailed · process.responded · process.failed · process.exited
 * Says   started · finished (one per invocation, in every case) · reported (usable, failed, dead)
 * Tells its process  boot · deliver · freeze · thaw · kill (and the end of the machine destroys it)
 *
 * Promise: at most one invocation at a time. Whoever invokes a sandbox that is not idle is told so (`finished`, refused).
 */
import { assign, emit, fromCallback, sendTo, setup } from "xstate";
import type { FunctionSpec } from "../../subjects/function.ts";
import type { Call } from "../../subjects/worker.ts";
import { type Outcome, outcomeOf, type ProcessEnd } from "./outcome.ts";
import { exitError, type RuntimeError } from "./policy.ts";

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
}

export type SandboxEvent =
  | { type: "sandbox.invoke"; call: Call; payload: Uint8Array; us: number; at: number }
  | { type: "sandbox.stop"; reason: string }
  | { type: "process.booted"; createUs: number; fromStem?: boolean }
  | { type: "process.ready"; initUs: number }
  | ProcessEnd;

export type SandboxEmitted =
  | { type: "started"; sandbox: SandboxContext; job: Job }
  | { type: "finished"; sandbox: SandboxContext; job: Job; outcome: Outcome }
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
  | { type: "boot"; spec: FunctionSpec }
  | { type: "deliver"; call: Call; payload: Uint8Array; deadlineAt: number }
  | { type: "freeze" }
  | { type: "thaw" }
  | { type: "kill" };

/** Ours, not Lambda's: far more than fetching the largest package takes. Whoever waits for it has been refused by then. */
const BOOT_LIMIT_MS = 60_000;

const process = fromCallback<ProcessCommand, SandboxInput, SandboxEvent>(() => {
  throw new Error("the process is given by effects.ts");
});

export const sandboxMachine = setup({
  types: {
    context: {} as SandboxContext & { readonly payload: Uint8Array | null },
    input: {} as SandboxInput,
    events: {} as SandboxEvent,
    emitted: {} as SandboxEmitted,
  },
  actors: { process },
  delays: {
    bootLimit: BOOT_LIMIT_MS,
    initLimit: ({ context }) => context.limits.initMs,
    idleLimit: ({ context }) => context.limits.idleMs,
    freezeDelay: ({ context }) => context.limits.freezeMs ?? context.limits.idleMs,
    timeout: ({ context }) => context.spec.timeoutMs,
  },
  guards: {
    isItsOwn: ({ context, event }) => "requestId" in event && event.requestId === context.job?.call.requestId,
    isFirst: ({ context }) => context.invocations === 0,
    mayFreeze: ({ context }) => context.limits.freezeMs !== undefined,
    mustLeave: ({ context }) => context.leaving !== "",
  },
  actions: {
    boot: sendTo("process", ({ context }) => ({
      type: "boot" as const,
      spec: context.spec,
    })),
    freeze: sendTo("process", { type: "freeze" }),
    thaw: sendTo("process", { type: "thaw" }),
    kill: sendTo("process", { type: "kill" }),
    deliver: sendTo("process", ({ context }) => ({
      type: "deliver" as const,
      call: context.job?.call as Call,
      payload: context.payload ?? new Uint8Array(),
      deadlineAt: (context.job?.startedAt ?? 0) + context.spec.timeoutMs,
    })),
    takeJob: assign(({ context, event }, params: { cold: boolean; bootsAgain: boolean }) => {
      if (event.type !== "sandbox.invoke") return {};
      const { call, payload, us, at } = event;
      return {
        job: { call, startedUs: us, startedAt: at, ...params },
        ...(params.bootsAgain ? { createUs: 0, initUs: 0 } : {}),
        payload,
        invocations: context.invocations + 1,
        lastUsedUs: us,
      };
    }),
    dropPayload: assign({ payload: null }),
    dropJob: assign({ job: null, payload: null }),
    rememberCreate: assign(({ event }) =>
      event.type === "process.booted" ? { createUs: event.createUs, fromStem: event.fromStem === true } : {},
    ),
    rememberInit: assign({ initUs: ({ event }) => (event.type === "process.ready" ? event.initUs : 0) }),
    rememberLeaving: assign({ leaving: ({ event }) => (event.type === "sandbox.stop" ? event.reason : "") }),
    sayStarted: emit(({ context }) => ({ type: "started" as const, sandbox: context, job: context.job as Job })),
    sayResult: emit(({ context, event }) => ({
      type: "finished" as const,
      sandbox: context,
      job: context.job as Job,
      outcome: outcomeOf(event, context.job?.call.requestId ?? "", context.spec.timeoutMs),
    })),
    refuse: emit(({ context, event }, params: { why: string }) => ({
      type: "refused" as const,
      sandbox: context,
      call: (event as { call: Call }).call,
      why: params.why,
    })),
    report: emit(({ context, event }, params: { state: "idle" | "failed" | "dead"; reason: string }) => ({
      type: "reported" as const,
      sandbox: context,
      ...params,
      ...(event.type === "process.initFailed" ? { error: event.error } : {}),
      ...(event.type === "process.exited" ? { error: exitError("", event.exit) } : {}),
    })),
  },
}).createMachine({
  id: "sandbox",
  context: ({ input }) => ({
    ...input,
    createUs: 0,
    initUs: 0,
    fromStem: false,
    invocations: 0,
    lastUsedUs: 0,
    job: null,
    payload: null,
    leaving: "",
  }),
  invoke: { src: "process", id: "process", input: ({ context }) => context },
  initial: "init",
  states: {
    init: {
      initial: "booting",
      entry: "boot",
      on: {
        "sandbox.invoke": { actions: { type: "refuse", params: { why: "SandboxBusy: it is still initialising" } } },
        "sandbox.stop": { target: "dead", actions: { type: "report", params: { state: "dead", reason: "stopped" } } },
        "process.initFailed": {
          target: "dead",
          actions: { type: "report", params: { state: "failed", reason: "init failed" } },
        },
        "process.exited": {
          target: "dead",
          actions: { type: "report", params: { state: "failed", reason: "exited during init" } },
        },
      },
      states: {
        booting: {
          on: { "process.booted": { target: "starting", actions: "rememberCreate" } },
          after: {
            bootLimit: {
              target: "#sandbox.dead",
              actions: { type: "report", params: { state: "failed", reason: "its process could not be made in time" } },
            },
          },
        },
        starting: {
          on: {
            "process.ready": {
              target: "#sandbox.idle.ready",
              actions: ["rememberInit", { type: "report", params: { state: "idle", reason: "initialised" } }],
            },
          },
          after: {
            initLimit: {
              target: "#sandbox.idle.reset",
              actions: ["kill", { type: "report", params: { state: "idle", reason: "init took too long" } }],
            },
          },
        },
      },
    },

    idle: {
      initial: "ready",
      entry: "dropJob",
      always: {
        guard: "mustLeave",
        target: "dead",
        actions: { type: "report", params: { state: "dead", reason: "replaced" } },
      },
      on: {
        "sandbox.invoke": [
          {
            guard: "isFirst",
            target: "#sandbox.busy.running",
            actions: [{ type: "takeJob", params: { cold: true, bootsAgain: false } }, "sayStarted"],
          },
          {
            target: "#sandbox.busy.running",
            actions: [{ type: "takeJob", params: { cold: false, bootsAgain: false } }, "sayStarted"],
          },
        ],
        "sandbox.stop": { target: "dead", actions: { type: "report", params: { state: "dead", reason: "stopped" } } },
        "process.exited": ".reset",
      },
      after: {
        idleLimit: {
          target: "dead",
          actions: { type: "report", params: { state: "dead", reason: "idle for too long" } },
        },
      },
      states: {
        ready: { after: { freezeDelay: { guard: "mayFreeze", target: "frozen" } } },
        frozen: { entry: "freeze", exit: "thaw" },
        reset: {
          on: {
            "sandbox.invoke": {
              target: "#sandbox.busy",
              actions: [{ type: "takeJob", params: { cold: true, bootsAgain: true } }, "sayStarted", "boot"],
            },
          },
        },
      },
    },

    busy: {
      initial: "booting",
      on: {
        "sandbox.invoke": { actions: { type: "refuse", params: { why: "SandboxBusy: it runs an invocation" } } },
        "sandbox.stop": { actions: "rememberLeaving" },
        "process.initFailed": { target: "#sandbox.idle.reset", actions: ["sayResult", "kill"] },
        "process.exited": { target: "#sandbox.idle.reset", actions: "sayResult" },
      },
      after: { timeout: { target: "#sandbox.idle.reset", actions: ["sayResult", "kill"] } },
      states: {
        booting: { on: { "process.booted": { target: "starting", actions: "rememberCreate" } } },
        starting: { on: { "process.ready": { target: "running", actions: "rememberInit" } } },
        running: {
          entry: ["deliver", "dropPayload"],
          on: {
            "process.responded": { guard: "isItsOwn", target: "#sandbox.idle.ready", actions: "sayResult" },
            "process.failed": { guard: "isItsOwn", target: "#sandbox.idle.ready", actions: "sayResult" },
          },
        },
      },
    },

    dead: { type: "final" },
  },
});
