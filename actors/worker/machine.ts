/**
 * A worker: hosts sandboxes on one host of one zone.
 *
 * States
 *   joining    announces itself; takes no sandboxes until placement gives it a lease
 *   ready      on lease: hosts sandboxes as far as its memory goes
 *   draining   takes no more; idle sandboxes stop at once, busy ones when they are done
 *   gone       nothing is left on it
 * Hears  worker.lease · worker.create · worker.drain · worker.recount · worker.givenUp · sandbox.reported
 * Says   heartbeat (every beat, in every state) · hosted · stop
 * Does   host: makes the sandbox (effects.ts)
 *
 * Promises: the memory of its sandboxes never exceeds its capacity, but for those just being evicted. What ran while it was
 * given up is ended when it hears of that: it was told as lost, and something else may run in its place. Hearing it twice ends
 * nothing that began in between.
 */
import { assign, emit, enqueueActions, setup } from "xstate";
import { type Refusal, refusal } from "../../subjects/errors.ts";
import type { FunctionSpec } from "../../subjects/function.ts";
import { type IdleSandbox, makeRoom } from "./policy.ts";

export interface WorkerInput {
  readonly workerId: string;
  readonly zone: string;
  readonly capacityMiB: number;
  readonly beatMs: number;
}

export interface WorkerContext extends WorkerInput {
  /** MemorySize of each sandbox it hosts, being made and being stopped included. */
  readonly sandboxes: Readonly<Record<string, number>>;
  readonly leaseEndsAt: number;
  /** The silence for which it was last told that it had been given up; epoch milliseconds, 0 before that. */
  readonly silentSince: number;
}

export type WorkerEvent =
  | { type: "worker.lease"; replyTo: string | undefined; endsAt: number }
  | {
      type: "worker.create";
      replyTo: string | undefined;
      sandboxId: string;
      poolId: string;
      /** The front end that it is made for. */
      wantedBy?: string | undefined;
      spec: FunctionSpec;
      /** Those that could be stopped to make room. */
      idle: readonly IdleSandbox[];
    }
  | { type: "worker.drain"; reason: string }
  | { type: "worker.recount" }
  /** `busy`: the sandboxes in which something runs. */
  | { type: "worker.givenUp"; replyTo: string | undefined; silentSince: number; busy: readonly string[] }
  | { type: "sandbox.reported"; sandboxId: string; state: "idle" | "failed" | "dead" };

export type WorkerEmitted =
  | { type: "reply"; to: string | undefined; body: Record<string, never> }
  | { type: "refuse"; to: string | undefined; refusal: Refusal }
  | { type: "heartbeat"; worker: WorkerContext; state: "joining" | "ready" | "draining" | "gone" }
  | { type: "hosted"; worker: WorkerContext }
  | { type: "stop"; worker: WorkerContext; sandboxId: string; reason: string; atOnce?: true };

export const workerMachine = setup({
  types: {
    context: {} as WorkerContext,
    input: {} as WorkerInput,
    events: {} as WorkerEvent,
    emitted: {} as WorkerEmitted,
  },
  delays: { beat: ({ context }) => context.beatMs },
  guards: {
    isKnown: ({ context, event }) =>
      event.type === "worker.create" && Object.hasOwn(context.sandboxes, event.sandboxId),
    hasRoom: ({ context, event }) => event.type === "worker.create" && roomFor(context, event) !== undefined,
    hasHeardOfIt: ({ context, event }) => event.type === "worker.givenUp" && event.silentSince === context.silentSince,
    isEmpty: ({ context }) => Object.keys(context.sandboxes).length === 0,
    isGone: ({ event }) => event.type === "sandbox.reported" && event.state !== "idle",
  },
  actions: {
    /** Makes the sandbox of a `worker.create`: given by effects.ts. */
    host: () => {
      throw new Error("host is given by effects.ts");
    },
    accept: emit(({ event }) => ({ type: "reply" as const, to: replyToOf(event), body: {} })),
    refuseFull: emit(refuseBecause("has no room")),
    refuseWithoutLease: emit(refuseBecause("takes no sandboxes now")),
    refuseLease: emit(refuseBecause("is leaving")),
    /** Stops as many idle sandboxes as the new one needs. */
    evict: enqueueActions(({ context, event, enqueue }) => {
      const evicted = event.type === "worker.create" ? (roomFor(context, event) ?? []) : [];
      for (const sandboxId of evicted) {
        enqueue.emit({ type: "stop", worker: context, sandboxId, reason: "its memory is needed" });
      }
    }),
    stopAll: enqueueActions(({ context, enqueue }) => {
      for (const sandboxId of Object.keys(context.sandboxes)) {
        enqueue.emit({ type: "stop", worker: context, sandboxId, reason: "its worker is draining" });
      }
    }),
    endBusy: enqueueActions(({ context, event, enqueue }) => {
      const busy = event.type === "worker.givenUp" ? event.busy : [];
      for (const sandboxId of busy) {
        enqueue.emit({ type: "stop", worker: context, sandboxId, reason: "its worker was given up", atOnce: true });
      }
    }),
    rememberSilence: assign(({ event }) => (event.type === "worker.givenUp" ? { silentSince: event.silentSince } : {})),
    remember: assign({
      sandboxes: ({ context, event }) =>
        event.type === "worker.create"
          ? { ...context.sandboxes, [event.sandboxId]: event.spec.memoryMiB }
          : context.sandboxes,
    }),
    forget: assign({
      sandboxes: ({ context, event }) => {
        if (event.type !== "sandbox.reported") return context.sandboxes;
        const { [event.sandboxId]: _, ...rest } = context.sandboxes;
        return rest;
      },
    }),
    rememberLease: assign({ leaseEndsAt: ({ event }) => (event.type === "worker.lease" ? event.endsAt : 0) }),
    beatJoining: emit(beatAs("joining")),
    beatReady: emit(beatAs("ready")),
    beatDraining: emit(beatAs("draining")),
    beatGone: emit(beatAs("gone")),
    sayHosted: emit(({ context }) => ({ type: "hosted" as const, worker: context })),
  },
}).createMachine({
  id: "worker",
  context: ({ input }) => ({ ...input, sandboxes: {}, leaseEndsAt: 0, silentSince: 0 }),
  initial: "joining",
  on: {
    "sandbox.reported": { guard: "isGone", actions: "forget" },
    "worker.recount": { actions: "sayHosted" },
    "worker.givenUp": [
      { guard: "hasHeardOfIt", actions: ["sayHosted", "accept"] },
      { actions: ["endBusy", "rememberSilence", "sayHosted", "accept"] },
    ],
    "worker.create": { actions: "refuseWithoutLease" },
    "worker.lease": { actions: "refuseLease" },
  },
  states: {
    joining: {
      entry: "beatJoining",
      after: { beat: { target: "joining", reenter: true } },
      on: {
        "worker.lease": { target: "ready", actions: ["rememberLease", "accept"] },
        "worker.drain": "gone",
        "worker.recount": { target: "joining", reenter: true, actions: "sayHosted" },
      },
    },
    ready: {
      entry: "beatReady",
      after: { beat: { target: "ready", reenter: true } },
      on: {
        "worker.lease": { actions: ["rememberLease", "accept"] },
        "worker.create": [
          { guard: "isKnown", actions: "accept" },
          { guard: "hasRoom", actions: ["evict", "host", "remember", "accept"] },
          { actions: "refuseFull" },
        ],
        "worker.drain": "draining",
        "worker.recount": { target: "ready", reenter: true, actions: "sayHosted" },
      },
    },
    draining: {
      initial: "emptying",
      entry: "stopAll",
      always: { guard: "isEmpty", target: "gone" },
      states: {
        emptying: {
          entry: "beatDraining",
          after: { beat: { target: "emptying", reenter: true } },
          on: { "worker.recount": { target: "emptying", reenter: true, actions: "sayHosted" } },
        },
      },
    },
    gone: { type: "final", entry: "beatGone" },
  },
});

type WorkerState = Extract<WorkerEmitted, { type: "heartbeat" }>["state"];

function beatAs(state: WorkerState) {
  return ({ context }: { context: WorkerContext }) => ({ type: "heartbeat" as const, worker: context, state });
}

function refuseBecause(why: string) {
  return ({ context, event }: { context: WorkerContext; event: WorkerEvent }) => ({
    type: "refuse" as const,
    to: replyToOf(event),
    refusal: refusal("NoRoom", `worker ${context.workerId} ${why}`),
  });
}

const replyToOf = (event: WorkerEvent): string | undefined => ("replyTo" in event ? event.replyTo : undefined);

const roomFor = (context: WorkerContext, event: Extract<WorkerEvent, { type: "worker.create" }>) =>
  makeRoom(context.capacityMiB, context.sandboxes, event.spec.memoryMiB, event.idle);
