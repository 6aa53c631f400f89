/**
 * A sandbox: one execution environment of one function version of one account.
 *
 * States
 *   init.booting      code and runtime are fetched, the isolation is made and its process let go, within a minute
 *   init.starting     the runtime loads the function and runs its init code, for 10 s at most
 *   idle.ready        takes one invocation
 *   idle.frozen       nobody needed it for a moment: nothing in it runs, and it takes one invocation all the same
 *   idle.reset        a timeout, a crash or an init that failed or took too long cost it its process; /tmp is kept, and the
 *                     next invocation boots it again and runs init inside its own time (Lambda's suppressed init)
 *   busy.init.…       as the above, inside an invocation's time
 *   busy.running
 *   busy.settling     the caller has its answer, or listens no more; the runtime and its extensions aren't done yet
 *   busy.ending       the caller has its answer, the extensions are told that their process goes, and it goes
 *   dead              gone for good
 * Hears  sandbox.invoke · sandbox.stop · reader.took · reader.lost (of a streamed response) — from outside
 *        process.booted · process.ready · process.initFailed · process.responded · process.failed · process.settled
 *        process.streamed · process.exited · process.gone · reader.awaited
 *        process.notMade (its host's fault: nothing of the function ran, and another host may do it)
 * Says   initBegan · initEnded · started · streamed (a piece of the response) · awaited (its reader) · returned (the answer,
 *        where it comes earlier than the end) · finished (one per invocation that is run) · refused (one that isn't)
 *        reported (usable, failed, dead)
 * Tells its process  boot · giveUp (its boot takes too long) · deliver · freeze · thaw · kill · what it heard of the reader (and the end of the machine destroys it)
 *
 * Promise: at most one invocation at a time. Whoever invokes a sandbox that is not idle is told so (`refused`).
 */
import { and, assign, emit, enqueueActions, fromCallback, sendTo, setup, stateIn } from "xstate";
import type { Call } from "../../subjects/worker.ts";
import { answered, answeredLate } from "./answered.ts";
import { initEndOf, type Outcome, outcomeOf } from "./outcome.ts";
import type { ShutdownReason } from "./runtime-init.ts";
import { began, type Report, refused, refusedUnmade, reported, told } from "./said.ts";
import {
  BLANK,
  type Job,
  type ProcessCommand,
  type SandboxContext,
  type SandboxEmitted,
  type SandboxEvent,
  type SandboxInput,
  withJob,
} from "./sandbox.ts";
import { hasRoom, isWanted, pieceOf, type ReaderEvent, streamHeard, withPiece } from "./streamed.ts";

export type { Job, ProcessCommand, SandboxContext, SandboxEmitted, SandboxEvent, SandboxInput };

/** Ours, not Lambda's: far more than fetching the largest package takes. Whoever waits for it has been refused by then. */
const BOOT_LIMIT_MS = 60_000;

const process = fromCallback<ProcessCommand, SandboxInput, SandboxEvent>(() => {
  throw new Error("the process is given by effects.ts");
});

const killLate = { type: "kill", params: "timeout" } as const;
const killFailed = { type: "kill", params: "failure" } as const;
const report = (state: Report["state"], reason: string) => ({ type: "report", params: { state, reason } }) as const;
const TOO_SLOW = { name: "BootTimedOut", text: "its process could not be made in time" };
const reportSlow = { type: "report", params: { state: "failed", reason: TOO_SLOW.text, fault: TOO_SLOW } } as const;
/** An init tells when it begins and how it ends. */
const starting = { entry: "sayInitBegan", exit: ["rememberInitEnd", "sayInitEnded"] } as const;

const outcomeNow = ({ returned, job, spec }: SandboxContext, event: { type: string }): Outcome =>
  outcomeOf(event, returned, job?.call.requestId ?? "", spec.timeoutMs);

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
    isWantedPiece: ({ context: { job }, event }) => isWanted(job?.call, event),
    hasRoom: ({ context: { streamed }, event }) => hasRoom(streamed, event),
    isAtOnce: ({ event }) => event.type === "sandbox.stop" && event.atOnce === true,
    isFirst: ({ context }) => context.invocations === 0,
    mayFreeze: ({ context }) => context.limits.freezeMs !== undefined,
    mustLeave: ({ context }) => context.leaving !== "",
    lingers: ({ context }) => context.lingers,
    hasReturned: ({ context }) => context.returned !== null,
    isItsOwnAndLingers: and(["isItsOwn", "lingers"]),
    leavesOthersBehind: ({ event }) => event.type === "process.exited" && event.lingers === true,
  },
  actions: {
    boot: sendTo("process", ({ context }) => ({
      type: "boot" as const,
      spec: context.spec,
      call: context.job?.call ?? null,
    })),
    giveUp: sendTo("process", { type: "giveUp" }),
    freeze: sendTo("process", { type: "freeze" }),
    thaw: sendTo("process", { type: "thaw" }),
    kill: sendTo("process", (_, reason: ShutdownReason) => ({ type: "kill" as const, reason })),
    tellOfReader: sendTo("process", ({ event }) => event as ReaderEvent),
    deliver: sendTo("process", ({ context }) => ({
      type: "deliver" as const,
      call: context.job?.call as Call,
      payload: context.payload ?? new Uint8Array(),
      deadlineAt: (context.job?.startedAt ?? 0) + context.spec.timeoutMs,
    })),
    takeJob: assign(({ context, event }, params: Pick<Job, "cold" | "bootsAgain">) =>
      event.type === "sandbox.invoke" ? withJob(context, event, params) : {},
    ),
    dropPayload: assign({ payload: null }),
    dropJob: assign({ job: null, payload: null, returned: null }),
    rememberBoot: assign(({ event }) => {
      if (event.type !== "process.booted") return {};
      const { type: _, us: bootedUs, at: bootedAt, fromStem = false, lingers = false, ...rest } = event;
      return { ...rest, bootedUs, bootedAt, fromStem, lingers, initEnd: null };
    }),
    rememberInit: assign(({ context, event }) =>
      event.type === "process.ready" ? { initUs: event.initUs, lingers: event.lingers ?? context.lingers } : {},
    ),
    rememberLeaving: assign({ leaving: ({ event }) => (event.type === "sandbox.stop" ? event.reason : "") }),
    rememberInitEnd: assign({
      initEnd: ({ context: { job, bootedUs, limits, spec }, event }) =>
        initEndOf(
          event,
          bootedUs,
          job === null ? limits.initMs * 1000 : job.startedUs + spec.timeoutMs * 1000 - bootedUs,
        ),
    }),
    sayInitBegan: emit(({ context }) => ({ type: "initBegan" as const, sandbox: context })),
    sayInitEnded: emit(({ context }) => ({ type: "initEnded" as const, sandbox: context })),
    sayStarted: emit(({ context }) => began(context)),
    sayStartedIfMade: enqueueActions(({ context, event, enqueue }) => {
      if (event.type !== "process.notMade") enqueue.emit(began(context));
    }),
    countStreamed: assign({ streamed: ({ context, event }) => withPiece(context.streamed, event) }),
    sayStreamed: emit(({ context, event }) => {
      return { type: "streamed" as const, sandbox: context, job: context.job as Job, ...pieceOf(event) };
    }),
    sayAwaited: emit(({ context }) => ({ type: "awaited" as const, sandbox: context, job: context.job as Job })),
    rememberReturned: assign({ returned: ({ context, event }) => outcomeNow(context, event) }),
    sayReturned: emit(({ context }) => told("returned", context, context.returned as Outcome)),
    sayResult: emit(({ context, event }) => told("finished", context, outcomeNow(context, event))),
    refuse: emit(({ context, event }, params: { why: string }) => refused(context, event, params.why)),
    refuseUnmade: emit(({ context, event }) => refusedUnmade(context, event)),
    report: emit(({ context, event }, params: Report) => reported(context, event, params)),
  },
}).createMachine({
  id: "sandbox",
  context: ({ input }) => ({ ...input, ...BLANK, payload: null }),
  invoke: { src: "process", id: "process", input: ({ context }) => context },
  initial: "init",
  states: {
    init: {
      initial: "booting",
      entry: "boot",
      on: {
        "sandbox.invoke": { actions: { type: "refuse", params: { why: "SandboxBusy: it is still initialising" } } },
        "sandbox.stop": { target: "dead", actions: report("dead", "stopped") },
        "process.notMade": { target: "dead", actions: report("failed", "its host could not make it") },
      },
      states: {
        booting: {
          on: {
            "process.booted": { target: "starting", actions: "rememberBoot" },
            "process.initFailed": {
              target: "#sandbox.dead",
              actions: report("failed", "its process could not be made"),
            },
            "process.exited": { target: "#sandbox.dead", actions: report("failed", "its process ended at once") },
          },
          after: {
            bootLimit: { target: "#sandbox.dead", actions: ["giveUp", reportSlow] },
          },
        },
        starting: {
          ...starting,
          on: {
            "process.ready": {
              target: "#sandbox.idle.ready",
              actions: ["rememberInit", report("idle", "initialised")],
            },
            "process.initFailed": {
              target: "#sandbox.idle.reset",
              actions: [killFailed, report("idle", "init failed")],
            },
            "process.exited": { target: "#sandbox.idle.reset", actions: report("idle", "exited during init") },
          },
          after: {
            initLimit: { target: "#sandbox.idle.reset", actions: [killLate, report("idle", "init took too long")] },
          },
        },
      },
    },

    idle: {
      initial: "ready",
      entry: "dropJob",
      always: { guard: "mustLeave", target: "dead", actions: report("dead", "replaced") },
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
        "sandbox.stop": { target: "dead", actions: report("dead", "stopped") },
        "process.exited": ".reset",
      },
      after: { idleLimit: { target: "dead", actions: report("dead", "idle for too long") } },
      states: {
        ready: { after: { freezeDelay: { guard: "mayFreeze", target: "frozen" } } },
        frozen: { entry: "freeze", exit: "thaw" },
        reset: {
          on: {
            "sandbox.invoke": {
              target: "#sandbox.busy",
              actions: [{ type: "takeJob", params: { cold: true, bootsAgain: true } }, "boot"],
            },
          },
        },
      },
    },

    busy: {
      initial: "init",
      on: {
        "sandbox.invoke": { actions: { type: "refuse", params: { why: "SandboxBusy: it runs an invocation" } } },
        "sandbox.stop": [
          { guard: "isAtOnce", target: "dead", actions: ["rememberLeaving", "sayResult", report("dead", "ended")] },
          { actions: "rememberLeaving" },
        ],
        "process.initFailed": { target: "#sandbox.idle.reset", actions: ["sayResult", killFailed] },
        "process.exited": [
          { guard: "leavesOthersBehind", target: ".ending", actions: ["rememberReturned", "sayReturned"] },
          { target: "#sandbox.idle.reset", actions: "sayResult" },
        ],
      },
      after: {
        timeout: [
          { guard: stateIn({ busy: "ending" }) },
          { guard: "hasReturned", target: ".ending", actions: killLate },
          { guard: "lingers", target: ".ending", actions: ["rememberReturned", "sayReturned", killLate] },
          { target: "#sandbox.idle.reset", actions: ["sayResult", killLate] },
        ],
      },
      states: {
        init: {
          initial: "booting",
          // As in Lambda's logs: what a repeated init has to say comes before the start of the invocation that it is in.
          exit: "sayStartedIfMade",
          on: {
            "process.notMade": {
              target: "#sandbox.dead",
              actions: ["refuseUnmade", report("failed", "its host could not boot it again")],
            },
          },
          states: {
            booting: { on: { "process.booted": { target: "starting", actions: "rememberBoot" } } },
            starting: {
              ...starting,
              on: { "process.ready": { target: "#sandbox.busy.running", actions: "rememberInit" } },
            },
          },
        },
        running: {
          entry: ["deliver", "dropPayload"],
          on: { "process.responded": answered, "process.failed": answered, ...streamHeard },
        },
        settling: {
          on: {
            "process.responded": answeredLate,
            "process.failed": answeredLate,
            "process.settled": { target: "#sandbox.idle.ready", actions: "sayResult" },
            "process.exited": [
              { guard: "leavesOthersBehind", target: "ending" },
              { target: "#sandbox.idle.reset", actions: "sayResult" },
            ],
          },
        },
        ending: {
          on: {
            "process.exited": { target: "#sandbox.idle.reset", actions: "sayResult" },
            "process.gone": { target: "#sandbox.idle.reset", actions: "sayResult" },
          },
        },
      },
    },

    dead: { type: "final" },
  },
});
