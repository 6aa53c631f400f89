/**
 * Counting: the concurrency of one account.
 *
 * States
 *   rebuilding          after a start: asks everybody what they hold, admits nobody yet (askers wait)
 *   counting.open       admits while there is room
 *   counting.recalling  there was no room: idle tokens are being called back; whoever still finds none is throttled
 * Hears  counting.admit · counting.release · counting.held · worker.running · worker.lost · limits.changed
 * Says   recount · recall · reply (granted, and the reason if fewer than asked)
 *
 * Promise: tokens out and orphaned invocations together never exceed a limit, also right after a restart.
 */
import { assign, emit, enqueueActions, setup } from "xstate";
import type { Admitted } from "../../subjects/counting.ts";
import {
  type Application,
  admit,
  emptyLedger,
  heldNow,
  type Ledger,
  type Running,
  release,
  reservationOf,
  room,
  runningNow,
  throttle,
  tick,
  workerLost,
} from "./policy.ts";

export interface CountingInput {
  readonly acct: string;
  readonly limit: number;
  readonly reserved: Readonly<Record<string, number>>;
  readonly timing: {
    readonly tickMs: number;
    readonly rebuildMs: number;
    readonly recallMs: number;
    readonly silentTicks: number;
  };
}

export interface CountingContext {
  readonly acct: string;
  readonly timing: CountingInput["timing"];
  readonly ledger: Ledger;
  /** Askers not yet answered, in order. */
  readonly queue: readonly Waiting[];
}

interface Waiting extends Application {
  readonly replyTo: string | undefined;
  /** What it has got so far. */
  readonly granted: number;
  /** Idle tokens have been called back for it. */
  readonly isCalledFor: boolean;
}

export type CountingEvent =
  | ({ type: "counting.admit"; replyTo: string | undefined } & Application)
  | ({ type: "counting.release" } & Application)
  | ({ type: "counting.held" } & Application)
  | { type: "worker.running"; workerId: string; running: readonly Running[] }
  | { type: "worker.lost"; workerId: string }
  | { type: "limits.changed"; reserved: Readonly<Record<string, number>> };

export type CountingEmitted =
  | { type: "recount" }
  | { type: "recall"; acct: string; fn: string | undefined; atMost?: number | null }
  | { type: "reply"; to: string | undefined; body: Admitted };

export const countingMachine = setup({
  types: {
    context: {} as CountingContext,
    input: {} as CountingInput,
    events: {} as CountingEvent,
    emitted: {} as CountingEmitted,
  },
  delays: {
    rebuild: ({ context }) => context.timing.rebuildMs,
    recall: ({ context }) => context.timing.recallMs,
    tick: ({ context }) => context.timing.tickMs,
  },
  guards: {
    fits: ({ context, event }) => event.type === "counting.admit" && room(context.ledger, event.fn) >= event.count,
    isServed: ({ context }) => context.queue.length === 0,
  },
  actions: {
    recount: emit({ type: "recount" }),
    /** A reserved function waits for its own tokens; any other for those of the whole account. */
    recall: enqueueActions(({ context: { acct, queue, ledger }, enqueue }) => {
      const waiting = queue.filter(({ isCalledFor }) => !isCalledFor);
      const fns = new Set(waiting.map(({ fn }) => (reservationOf(ledger, fn) === undefined ? undefined : fn)));
      for (const fn of fns.has(undefined) ? [undefined] : fns) enqueue.emit({ type: "recall", acct, fn });
      enqueue.assign({ queue: queue.map((each) => ({ ...each, isCalledFor: true })) });
    }),
    grant: enqueueActions(({ context, event, enqueue }) => {
      if (event.type !== "counting.admit") return;
      const [ledger, granted] = admit(context.ledger, event);
      enqueue.assign({ ledger });
      enqueue.emit({ type: "reply", to: event.replyTo, body: { granted } });
    }),
    queue: assign({
      queue: ({ context, event }) =>
        event.type === "counting.admit" ? [...context.queue, waiting(event)] : context.queue,
    }),
    release: assign({
      ledger: ({ context, event }) =>
        event.type === "counting.release" ? release(context.ledger, event) : context.ledger,
    }),
    /** Gives what has become free to those who wait, and answers who has got all they asked for. */
    serve: enqueueActions(({ context, enqueue }) => {
      let { ledger } = context;
      const left: Waiting[] = [];
      for (const each of context.queue) {
        const [next, more] = admit(ledger, { ...each, count: each.count - each.granted });
        ledger = next;
        const granted = each.granted + more;
        if (granted < each.count) left.push({ ...each, granted });
        else enqueue.emit({ type: "reply", to: each.replyTo, body: { granted } });
      }
      enqueue.assign({ ledger, queue: left });
    }),
    /** Refuses whoever idle tokens were called back for in vain; who came meanwhile gets a call of its own. */
    throttleRest: enqueueActions(({ context, enqueue }) => {
      for (const { replyTo, granted, fn, isCalledFor } of context.queue) {
        if (!isCalledFor) continue;
        enqueue.emit({ type: "reply", to: replyTo, body: { granted, refused: throttle(context.ledger, fn) } });
      }
      enqueue.assign({ queue: context.queue.filter(({ isCalledFor }) => !isCalledFor) });
    }),
    hearHeld: assign({
      ledger: ({ context, event }) =>
        event.type === "counting.held" ? heldNow(context.ledger, event) : context.ledger,
    }),
    hearRunning: assign({
      ledger: ({ context, event }) =>
        event.type === "worker.running" ? runningNow(context.ledger, event.workerId, event.running) : context.ledger,
    }),
    forgetWorker: assign({
      ledger: ({ context, event }) =>
        event.type === "worker.lost" ? workerLost(context.ledger, event.workerId) : context.ledger,
    }),
    /** Whose limit changed is told to those who hold tokens: idle ones above it are given back, others when they are done. */
    hearLimits: enqueueActions(({ context: { acct, ledger }, event, enqueue }) => {
      if (event.type !== "limits.changed") return;
      for (const fn of new Set([...Object.keys(ledger.reserved), ...Object.keys(event.reserved)])) {
        const limit = reservationOf(event, fn);
        if (reservationOf(ledger, fn) === limit) continue;
        enqueue.emit({ type: "recall", acct, fn, atMost: limit ?? null });
      }
      enqueue.assign({ ledger: { ...ledger, reserved: event.reserved } });
    }),
    tick: assign({ ledger: ({ context }) => tick(context.ledger) }),
  },
}).createMachine({
  id: "counting",
  context: ({ input }) => ({
    acct: input.acct,
    timing: input.timing,
    ledger: { ...emptyLedger(input.limit, input.timing.silentTicks, input.timing.tickMs), reserved: input.reserved },
    queue: [],
  }),
  type: "parallel",
  on: {
    "counting.held": { actions: "hearHeld" },
    "worker.running": { actions: "hearRunning" },
    "worker.lost": { actions: "forgetWorker" },
    "limits.changed": { actions: "hearLimits" },
  },
  states: {
    service: {
      initial: "rebuilding",
      states: {
        rebuilding: {
          entry: "recount",
          on: { "counting.admit": { actions: "queue" }, "counting.release": { actions: "release" } },
          after: {
            rebuild: [
              { guard: "isServed", target: "counting.open" },
              { target: "counting.recalling", actions: "serve" },
            ],
          },
        },
        counting: {
          initial: "open",
          states: {
            open: {
              on: {
                "counting.admit": [
                  { guard: "fits", actions: "grant" },
                  { target: "recalling", actions: ["queue", "serve"] },
                ],
                "counting.release": { actions: "release" },
              },
            },
            recalling: {
              always: { guard: "isServed", target: "open" },
              entry: "recall",
              on: {
                "counting.admit": { actions: ["queue", "serve"] },
                "counting.release": { actions: ["release", "serve"] },
              },
              after: { recall: { target: "recalling", reenter: true, actions: "throttleRest" } },
            },
          },
        },
      },
    },
    time: {
      initial: "passing",
      states: { passing: { after: { tick: { target: "passing", reenter: true, actions: "tick" } } } },
    },
  },
});

const waiting = ({
  fn,
  frontendId,
  poolId,
  count,
  replyTo,
}: Extract<CountingEvent, { type: "counting.admit" }>): Waiting => ({
  fn,
  frontendId,
  poolId,
  count,
  replyTo,
  granted: 0,
  isCalledFor: false,
});
