/**
 * The pool of one function version's sandboxes: who is idle, who gets them, how many to start.
 *
 * States
 *   serving    grants idle sandboxes, starts what is needed and no more; one that is made for a front end is granted to it by
 *              its worker, which says so in its report
 *   retiring   the version was replaced or deleted, and nobody waits: what nobody holds is stopped. Whoever still wants
 *              one, because it asked before it heard of the new version, makes it serve again until nobody waits
 *   gone       nothing is left
 * Hears  pool.want · pool.return · frontend.held · pool.retire · worker.lost · worker.hosted · sandbox.reported,
 *        and the answers to place and create
 * Says   grant · startFailed · place · create · stop
 *
 * The book it keeps is a hint, rebuilt from the workers after a restart; the sandbox is the truth. What it decides is in
 * policy.ts: this chart only says when.
 */
import { assign, enqueueActions, setup } from "xstate";
import { type Book, emptyBook, isEmpty, type PoolLimits } from "./book.ts";
import type { Decision, PoolEvent } from "./events.ts";
import { decide, note } from "./policy.ts";
import { stopUnheld } from "./stops.ts";

export interface PoolInput {
  readonly poolId: string;
  readonly epoch: string;
  readonly tickMs: number;
  readonly limits: PoolLimits;
}

export interface PoolContext {
  readonly book: Book;
  readonly tickMs: number;
  readonly isReplaced: boolean;
}

export const poolMachine = setup({
  types: {
    context: {} as PoolContext,
    input: {} as PoolInput,
    events: {} as PoolEvent | { type: "pool.retire" },
    emitted: {} as Decision,
  },
  delays: { tick: ({ context }) => context.tickMs },
  guards: {
    isEmpty: ({ context }) => isEmpty(context.book),
    isDone: ({ context }) => context.isReplaced && context.book.wants.size === 0,
    isNeed: ({ event }) => event.type === "pool.want" && event.count > 0,
  },
  actions: {
    decide: enqueueActions(({ context, event, enqueue }) => {
      const [book, decisions] = decide(context.book, happened(event));
      enqueue.assign({ book });
      for (const decision of decisions) enqueue.emit(decision);
    }),
    rememberReplaced: assign({ isReplaced: true }),
    /** Keeps the book without serving anybody. */
    note: assign({ book: ({ context, event }) => note(context.book, happened(event)) }),
    stopUnheld: enqueueActions(({ context, enqueue }) => {
      for (const decision of stopUnheld(context.book, "replaced by another revision")) enqueue.emit(decision);
    }),
  },
}).createMachine({
  id: "pool",
  context: ({ input }) => ({
    book: emptyBook(input.poolId, input.epoch, input.limits),
    tickMs: input.tickMs,
    isReplaced: false,
  }),
  initial: "serving",
  states: {
    serving: {
      always: { guard: "isDone", target: "retiring" },
      on: { "pool.retire": { actions: "rememberReplaced" }, "*": { actions: "decide" } },
      initial: "waiting",
      states: {
        waiting: {
          after: {
            tick: [
              { guard: "isEmpty", target: "#pool.gone" },
              { target: "waiting", reenter: true, actions: "decide" },
            ],
          },
        },
      },
    },
    retiring: {
      entry: "stopUnheld",
      on: {
        "pool.retire": {},
        "pool.want": [{ guard: "isNeed", target: "serving", actions: "decide" }, { actions: "note" }],
        "*": { actions: "note" },
      },
      initial: "waiting",
      states: {
        waiting: {
          after: {
            tick: [
              { guard: "isEmpty", target: "#pool.gone" },
              { target: "waiting", reenter: true, actions: ["note", "stopUnheld"] },
            ],
          },
        },
      },
    },
    gone: { type: "final" },
  },
});

const KNOWN: Readonly<Record<PoolEvent["type"], true>> = {
  "pool.want": true,
  "pool.return": true,
  "frontend.held": true,
  "sandbox.placed": true,
  "sandbox.notPlaced": true,
  "sandbox.created": true,
  "sandbox.notCreated": true,
  "sandbox.reported": true,
  "worker.lost": true,
  "worker.hosted": true,
  "pool.tick": true,
};

/** What isn't an event of the policy is time passing. */
const happened = (event: { readonly type: string }): PoolEvent =>
  event.type in KNOWN ? (event as PoolEvent) : { type: "pool.tick" };
