/**
 * One event that a poller holds: from its delivery to the end of this attempt.
 *
 * States
 *   waiting      delivered, its function has no slot free
 *   running      a front end runs it
 *   succeeding   the destination is being told
 *   deferring    it is being stored for another attempt
 *   burying      it is being stored as a dead letter
 *   succeeded · retrying · dead    its message left the queue
 *   returned     it went back into the queue unchanged
 * Hears  slot.granted · run.ended · stored · notStored · event.recalled · event.ticked
 * Does   run · succeed · defer · bury · acknowledge · giveBack · keep (effects.ts)
 *
 * Promise: its message is acknowledged only after what follows from it (another attempt, a dead letter) has been stored;
 * whatever is killed meanwhile, the event is delivered again.
 */
import { assign, setup } from "xstate";
import { beforehand, judge, type Outcome, type Rules, type Verdict } from "./policy.ts";

export interface EventInput {
  readonly requestId: string;
  readonly acct: string;
  readonly fn: string;
  readonly qualifier: string | undefined;
  readonly payload: Uint8Array;
  /** The attempt this is: from 1. */
  readonly attempt: number;
  readonly setbacks: number;
  /** Where and when it was accepted: the shard, its sequence there, epoch ms. */
  readonly shard: string;
  readonly accepted: number;
  readonly acceptedAt: number;
  readonly traceId: string | undefined;
  readonly clientContext: string | undefined;
  /** Where its message is. */
  readonly stream: string;
  readonly sequence: number;
}

export interface EventContext extends EventInput {
  readonly outcome: Outcome | undefined;
  readonly verdict: Verdict | undefined;
}

/** `at` is epoch ms, `rules` are those in force then: a function's settings count when its event runs. */
export type QueuedEvent =
  | { type: "slot.granted"; at: number; rules: Rules }
  | { type: "run.ended"; outcome: Outcome; at: number; rules: Rules }
  | { type: "stored" }
  | { type: "notStored"; why: string }
  | { type: "event.recalled" }
  | { type: "event.ticked" };

/** Between two tries to store what must not be lost. */
const STORE_AGAIN_MS = 1000;

export const eventMachine = setup({
  types: { context: {} as EventContext, input: {} as EventInput, events: {} as QueuedEvent },
  guards: {
    mayNotBegin: ({ context, event }) =>
      event.type === "slot.granted" && beforehand({ ...context, at: event.at }, event.rules) !== undefined,
    succeeds: ({ context }) => context.verdict?.kind === "succeed",
    isTriedAgain: ({ context }) => context.verdict?.kind === "retry",
  },
  actions: {
    run: given,
    succeed: given,
    defer: given,
    bury: given,
    acknowledge: given,
    giveBack: given,
    keep: given,
    refuse: assign(({ context, event }) =>
      event.type === "slot.granted" ? { verdict: beforehand({ ...context, at: event.at }, event.rules) } : {},
    ),
    judge: assign(({ context, event }) =>
      event.type === "run.ended"
        ? { outcome: event.outcome, verdict: judge(event.outcome, { ...context, at: event.at }, event.rules) }
        : {},
    ),
  },
}).createMachine({
  id: "event",
  context: ({ input }) => ({ ...input, outcome: undefined, verdict: undefined }),
  initial: "waiting",
  on: { "event.ticked": { actions: "keep" } },
  states: {
    waiting: {
      on: {
        "slot.granted": [{ guard: "mayNotBegin", target: "burying", actions: "refuse" }, { target: "running" }],
        "event.recalled": "returned",
      },
    },
    running: {
      entry: "run",
      on: { "run.ended": { target: "judged", actions: "judge" } },
    },
    judged: {
      always: [
        { guard: "succeeds", target: "succeeding" },
        { guard: "isTriedAgain", target: "deferring" },
        { target: "burying" },
      ],
    },
    succeeding: { entry: "succeed", on: { stored: "succeeded" } },
    deferring: {
      initial: "storing",
      on: { stored: "retrying" },
      states: {
        storing: { entry: "defer", on: { notStored: "pausing" } },
        pausing: { after: { [STORE_AGAIN_MS]: "storing" } },
      },
    },
    burying: {
      initial: "storing",
      on: { stored: "dead" },
      states: {
        storing: { entry: "bury", on: { notStored: "pausing" } },
        pausing: { after: { [STORE_AGAIN_MS]: "storing" } },
      },
    },
    succeeded: { type: "final", entry: "acknowledge" },
    retrying: { type: "final", entry: "acknowledge" },
    dead: { type: "final", entry: "acknowledge" },
    returned: { type: "final", entry: "giveBack" },
  },
});

function given(): void {
  throw new Error("this is given by effects.ts");
}
