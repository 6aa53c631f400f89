/**
 * The pool of one function version's sandboxes: who is idle, who gets them, how many to start.
 *
 * States
 *   serving    grants idle sandboxes, starts what is needed and no more
 *   retiring   the version was replaced or deleted: everything is stopped, nothing is granted
 *   gone       nothing is left
 * Hears  pool.want · pool.return · frontend.held · pool.retire · worker.lost · worker.hosted · sandbox.reported,
 *        and the answers to place and create
 * Says   grant · startFailed · place · create · stop
 *
 * The book it keeps is a hint, rebuilt from the workers after a restart; the sandbox is the truth. What it decides is in
 * policy.ts: this chart only says when.
 */
import { assign, enqueueActions, setup } from "xstate";
import { type Book, type Decision, decide, emptyBook, isEmpty, type PoolEvent, type PoolLimits, stopAll } from "./policy.ts";

export interface PoolInput {
  readonly poolId: string;
  readonly epoch: string;
  readonly tickMs: number;
  readonly limits: PoolLimits;
}

export interface PoolContext {
  readonly book: Book;
  readonly tickMs: number;
}

export const poolMachine = setup({
  types: {
    context: {} as PoolContext,
    input: {} as PoolInput,
    events: {} as PoolEvent | { type: "pool.retire" },
    emitted: {} as Decision,
  },
  delays: { tick: ({ context }) => context.tickMs },
  guards: { isEmpty: ({ context }) => isEmpty(context.book) },
  actions: {
    decide: enqueueActions(({ context, event, enqueue }) => {
      const [book, decisions] = decide(context.book, event.type in KNOWN ? (event as PoolEvent) : { type: "pool.tick" });
      enqueue.assign({ book });
      for (const decision of decisions) enqueue.emit(decision);
    }),
    /** Keeps the book without serving anybody. */
    note: assign({
      book: ({ context, event }) => (event.type in KNOWN ? decide(forNobody(context.book), event as PoolEvent)[0] : context.book),
    }),
    stopAll: enqueueActions(({ context, enqueue }) => {
      for (const decision of stopAll(context.book, "replaced by another revision")) enqueue.emit(decision);
    }),
  },
}).createMachine({
  id: "pool",
  context: ({ input }) => ({ book: emptyBook(input.poolId, input.epoch, input.limits), tickMs: input.tickMs }),
  initial: "serving",
  states: {
    serving: {
      on: { "pool.retire": "retiring", "*": { actions: "decide" } },
      initial: "waiting",
      states: {
        waiting: { after: { tick: [{ guard: "isEmpty", target: "#pool.gone" }, { target: "waiting", reenter: true, actions: "decide" }] } },
      },
    },
    retiring: {
      entry: "stopAll",
      on: { "*": { actions: "note" } },
      initial: "waiting",
      states: {
        waiting: { after: { tick: [{ guard: "isEmpty", target: "#pool.gone" }, { target: "waiting", reenter: true, actions: ["stopAll"] }] } },
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

/** The same book with nobody waiting, so that deciding on it grants and starts nothing. */
const forNobody = (book: Book): Book => ({ ...book, wants: new Map(), spec: null });
