/**
 * What one front end holds for one function version: the leases that make a warm invoke ask nobody.
 *
 * States
 *   holding    hands out tokens and sandboxes, asks for more, gives back what nobody uses
 *   ending     the version was replaced: what is idle goes back at once, what runs goes back when done
 *   gone       nothing is held
 * Hears  invocation.arrived · left · finished (from this process)
 *        tokens.granted · sandbox.granted · sandbox.failed · leases.recalled · leases.recount · leases.superseded · worker.lost
 * Says   ask · release · held (to Counting) · want · giveBack (to the worker manager)
 * Does   tell: an invocation of this process hears what it got (effects.ts)
 *
 * Promise: a token or a sandbox is with one invocation at a time; what it decides is in policy.ts.
 */
import { assign, emit, enqueueActions, setup } from "xstate";
import type { FunctionSpec } from "../../../subjects/function.ts";
import { emptyLeases, isUnused, type LeaseBook, type LeasesEvent, type LeasesSaid, step, type Told } from "./policy.ts";

export interface LeasesInput {
  readonly poolId: string;
  readonly frontendId: string;
  readonly spec: FunctionSpec;
  readonly tickMs: number;
}

export interface LeasesContext extends LeasesInput {
  readonly book: LeaseBook;
  /** What the last step has to tell to invocations. */
  readonly told: readonly Told[];
}

/** Without `fn`, the tokens of any function of the account are called back. */
type Recalled = { type: "leases.recalled"; acct: string; fn: string | undefined; atMost?: number | null | undefined };
type About = { readonly leases: LeasesInput };
export type LeasesEmitted =
  | (LeasesSaid extends infer S ? (S extends LeasesSaid ? S & About : never) : never)
  | ({ type: "held"; count: number } & About);

export const leasesMachine = setup({
  types: {
    context: {} as LeasesContext,
    input: {} as LeasesInput,
    events: {} as Exclude<LeasesEvent, { type: "leases.recalled" }> | Recalled | { type: "leases.superseded" },
    emitted: {} as LeasesEmitted,
  },
  delays: { tick: ({ context }) => context.tickMs },
  guards: {
    isUnused: ({ context }) => isUnused(context.book),
    isForOthers: ({ context: { spec }, event }) =>
      event.type === "leases.recalled" &&
      (event.acct !== spec.acct || (event.fn !== undefined && event.fn !== spec.fn)),
  },
  actions: {
    /** Tells invocations of this process what they got: given by effects.ts. */
    tell: () => {
      throw new Error("tell is given by effects.ts");
    },
    step: enqueueActions(({ context, event, enqueue }) => {
      const happened: LeasesEvent = event.type in KNOWN ? (event as LeasesEvent) : { type: "leases.tick" };
      const { book, said, told } = step(context.book, happened);
      enqueue.assign({ book, told });
      for (const each of said) enqueue.emit({ ...each, leases: context });
      if (told.length > 0) enqueue("tell");
    }),
    giveBackIdle: enqueueActions(({ context, enqueue }) => {
      const { book, said } = step(context.book, { type: "leases.recalled" });
      enqueue.assign({ book });
      for (const each of said) enqueue.emit({ ...each, leases: context });
    }),
    sayHeld: emit(({ context }) => ({ type: "held" as const, count: context.book.tokens, leases: context })),
    forget: assign({ book: emptyLeases }),
  },
}).createMachine({
  id: "leases",
  context: ({ input }) => ({ ...input, book: emptyLeases, told: [] }),
  initial: "holding",
  states: {
    holding: {
      on: {
        "leases.superseded": "ending",
        "leases.recount": { actions: ["sayHeld", "step"] },
        "leases.recalled": [{ guard: "isForOthers" }, { actions: "step" }],
        "*": { actions: "step" },
      },
      initial: "waiting",
      states: {
        waiting: {
          after: {
            tick: [
              { guard: "isUnused", target: "#leases.gone" },
              { target: "waiting", reenter: true, actions: ["step", "sayHeld"] },
            ],
          },
        },
      },
    },
    ending: {
      entry: "giveBackIdle",
      on: { "leases.recount": { actions: ["sayHeld", "step"] }, "*": { actions: ["step", "giveBackIdle"] } },
      initial: "waiting",
      states: {
        waiting: {
          after: {
            tick: [
              { guard: "isUnused", target: "#leases.gone" },
              { target: "waiting", reenter: true, actions: ["step", "giveBackIdle", "sayHeld"] },
            ],
          },
        },
      },
    },
    gone: { type: "final", entry: "forget" },
  },
});

const KNOWN: Readonly<Record<LeasesEvent["type"], true>> = {
  "invocation.arrived": true,
  "invocation.left": true,
  "invocation.finished": true,
  "tokens.granted": true,
  "sandbox.granted": true,
  "sandbox.failed": true,
  "leases.recalled": true,
  "leases.recount": true,
  "worker.lost": true,
  "leases.tick": true,
};
