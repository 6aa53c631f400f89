/**
 * A worker as placement sees it: is it on lease, and is it well?
 *
 * States, two questions side by side while it is `known`
 *   lease.offered · leasing · leased · draining      health.well · suspect
 *   lost.silent     it was silent for two beats, and its sandboxes were told as lost; remembered as long as a lease lasts, also
 *                   by the placement that is started next
 *   lost.telling    it is heard again, and being told of that
 *   gone            it left
 * Hears  worker.beat · worker.place · lease.accepted · lease.refused · worker.told · worker.notTold
 * Says   askLease · drain · lost · givenUp · reply / refuse
 * Does   keepLease · keepLoss · dropLease (effects.ts)
 *
 * Promises: a place request is answered with this worker or refused; a worker whose lease ends drains without losing a call;
 * one that was given up takes nothing before it knows, and has said what is still on it.
 */
import { assign, emit, enqueueActions, setup } from "xstate";
import { type Refusal, refusal } from "../../subjects/errors.ts";
import type { Heartbeat } from "../../subjects/worker.ts";

export interface LeaseInput {
  readonly workerId: string;
  /** The latest; none of one that an earlier placement gave up, before it is heard again. */
  readonly beat: Heartbeat | undefined;
  /** When it was last heard, or, of one that was given up, since when it was silent then. Epoch milliseconds. */
  readonly heardAt: number;
  readonly beatMs: number;
  /** The lease that a worker gets which is already on one: placement was restarted, and gives it a new term. */
  readonly leaseMs: number;
  /** Epoch milliseconds. */
  readonly leasedAt: number;
}

export interface LeaseContext extends LeaseInput {
  /** Promised since the last heartbeat, which does not know of it yet. */
  readonly promisedMiB: number;
  /** Who waits for the lease that is being taken. */
  readonly waiting: readonly string[];
}

export type LeaseEvent =
  | { type: "worker.beat"; beat: Heartbeat; at: number }
  | {
      type: "worker.place";
      replyTo: string | undefined;
      memoryMiB: number;
      at: number;
      /** How long a lease taken now would last. */
      leaseMs: number;
    }
  | { type: "lease.accepted" }
  | { type: "lease.refused"; refusal: Refusal }
  | { type: "worker.told" | "worker.notTold" };

export type LeaseEmitted =
  | { type: "reply"; to: string | undefined; body: { workerId: string } }
  | { type: "refuse"; to: string | undefined; refusal: Refusal }
  | { type: "askLease"; workerId: string; endsAt: number }
  | { type: "drain"; workerId: string; reason: string }
  | { type: "lost"; workerId: string }
  | { type: "givenUp"; workerId: string; silentSince: number };

/** A beat may be late by half its interval before it counts as missed. */
const PATIENCE = 1.5;

/** Its own word that it is gone, heard wherever a beat is heard: a state's own rows come before its parent's. */
const LEFT = { guard: "isLeaving", target: "#lease.gone", actions: ["sayLost", "dropLease"] } as const;

export const leaseMachine = setup({
  types: {
    context: {} as LeaseContext,
    input: {} as LeaseInput,
    events: {} as LeaseEvent,
    emitted: {} as LeaseEmitted,
  },
  delays: {
    missedBeat: ({ context }) => context.beatMs * PATIENCE,
    leaseEnd: ({ context }) => context.leaseMs,
  },
  guards: {
    isLeaving: ({ event }) => event.type === "worker.beat" && event.beat.state === "gone",
    isDraining: ({ event }) => event.type === "worker.beat" && event.beat.state === "draining",
    alreadyDraining: ({ context }) => context.beat?.state === "draining",
    lostItsLease: ({ event }) => event.type === "worker.beat" && event.beat.state === "joining",
    alreadyReady: ({ context }) => context.beat?.state === "ready",
    wasGivenUp: ({ context }) => context.beat === undefined,
  },
  actions: {
    keepLease: () => {
      throw new Error("keepLease is given by effects.ts");
    },
    keepLoss: () => {
      throw new Error("keepLoss is given by effects.ts");
    },
    dropLease: () => {
      throw new Error("dropLease is given by effects.ts");
    },
    remember: assign(({ event }) =>
      event.type === "worker.beat" ? { beat: event.beat, promisedMiB: 0, heardAt: event.at } : {},
    ),
    /** Heard while it is lost. One that is still on a lease has a new one, as after a restart of placement. */
    renew: assign(({ event }) =>
      event.type === "worker.beat" ? { beat: event.beat, promisedMiB: 0, leasedAt: event.at } : {},
    ),
    recover: assign({ heardAt: ({ context }) => context.leasedAt }),
    promise: assign(({ context, event }) =>
      event.type === "worker.place" ? { promisedMiB: context.promisedMiB + event.memoryMiB } : {},
    ),
    wait: assign(({ context, event }) =>
      event.type === "worker.place" && event.replyTo !== undefined
        ? { waiting: [...context.waiting, event.replyTo] }
        : {},
    ),
    startLease: assign(({ event }) =>
      event.type === "worker.place" ? { leaseMs: event.leaseMs, leasedAt: event.at } : {},
    ),
    askLease: emit(({ context }) => ({
      type: "askLease" as const,
      workerId: context.workerId,
      endsAt: context.leasedAt + context.leaseMs,
    })),
    answer: emit(({ context, event }) => ({
      type: "reply" as const,
      to: event.type === "worker.place" ? event.replyTo : undefined,
      body: { workerId: context.workerId },
    })),
    answerWaiting: enqueueActions(({ context, enqueue }) => {
      for (const to of context.waiting) enqueue.emit({ type: "reply", to, body: { workerId: context.workerId } });
      enqueue.assign({ waiting: [] });
    }),
    refuseWaiting: enqueueActions(({ context, event, enqueue }) => {
      const why = event.type === "lease.refused" ? event.refusal.message : "the worker left";
      for (const to of context.waiting) enqueue.emit({ type: "refuse", to, refusal: refusal("NoRoom", why) });
      enqueue.assign({ waiting: [], promisedMiB: 0 });
    }),
    refuse: emit(({ context, event }) => ({
      type: "refuse" as const,
      to: event.type === "worker.place" ? event.replyTo : undefined,
      refusal: refusal("NoRoom", `worker ${context.workerId} is leaving`),
    })),
    drain: emit(({ context }) => ({
      type: "drain" as const,
      workerId: context.workerId,
      reason: "its lease has ended",
    })),
    tellGivenUp: emit(({ context: { workerId, heardAt } }) => ({
      type: "givenUp" as const,
      workerId,
      silentSince: heardAt,
    })),
    sayLost: emit(({ context }) => ({ type: "lost" as const, workerId: context.workerId })),
  },
}).createMachine({
  id: "lease",
  context: ({ input }) => ({ ...input, promisedMiB: 0, waiting: [] }),
  initial: "found",
  states: {
    found: { always: [{ guard: "wasGivenUp", target: "lost" }, { target: "known" }] },
    known: {
      type: "parallel",
      states: {
        lease: {
          initial: "offered",
          on: { "worker.beat": { guard: "isDraining", target: ".draining", actions: ["refuseWaiting", "dropLease"] } },
          states: {
            offered: {
              always: [
                { guard: "alreadyReady", target: "leased", actions: "keepLease" },
                { guard: "alreadyDraining", target: "draining" },
              ],
              on: {
                "worker.place": { target: "leasing", actions: ["promise", "wait", "startLease", "askLease"] },
              },
            },
            leasing: {
              on: {
                "worker.place": { actions: ["promise", "wait"] },
                "lease.accepted": { target: "leased", actions: ["keepLease", "answerWaiting"] },
                "lease.refused": { target: "offered", actions: "refuseWaiting" },
              },
            },
            leased: {
              on: {
                "worker.place": { actions: ["promise", "answer"] },
                "worker.beat": [
                  { guard: "lostItsLease", target: "offered", actions: "dropLease" },
                  { guard: "isDraining", target: "draining", actions: "dropLease" },
                ],
              },
              after: { leaseEnd: { target: "draining", actions: ["drain", "dropLease"] } },
            },
            draining: { on: { "worker.place": { actions: "refuse" }, "worker.beat": {} } },
          },
        },
        health: {
          initial: "well",
          states: {
            well: {
              on: { "worker.beat": [LEFT, { target: "well", reenter: true, actions: "remember" }] },
              after: { missedBeat: "suspect" },
            },
            suspect: {
              on: { "worker.beat": [LEFT, { target: "well", actions: "remember" }] },
              after: { missedBeat: { target: "#lease.lost", actions: ["sayLost", "keepLoss"] } },
            },
          },
        },
      },
    },
    lost: {
      entry: "refuseWaiting",
      initial: "silent",
      on: { "worker.place": { actions: "refuse" } },
      after: { leaseEnd: { target: "gone", actions: "dropLease" } },
      states: {
        silent: {
          on: {
            "worker.beat": [
              { guard: "isLeaving", target: "#lease.gone", actions: "dropLease" },
              { target: "telling", actions: "renew" },
            ],
          },
        },
        telling: {
          entry: "tellGivenUp",
          on: {
            "worker.beat": [{ guard: "isLeaving", target: "#lease.gone", actions: "dropLease" }, { actions: "renew" }],
            "worker.told": { target: "#lease.known", actions: ["recover", "dropLease"] },
            "worker.notTold": "silent",
          },
        },
      },
    },
    gone: { type: "final", entry: "refuseWaiting" },
  },
});
