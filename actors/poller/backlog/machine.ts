/**
 * The backlog of one function: where its events lie, who is taking them, and how many run at the same time.
 *
 * States
 *   active   events are taken as they come
 *   idle     nothing is left and nothing runs; still listening for a while, because more may come
 *   aside    another poller takes its events; whether it still does is asked each time the streams are counted
 *   paused   its owner wants none to start; events are kept, those that run are finished
 *   gone     nobody listens any more
 * Hears  backlog.stirred (somebody published) · backlog.counted (what the streams hold) · backlog.configured
 *        backlog.yielded (another poller takes them) · backlog.vacated (none does) · backlog.close
 *        event.taken · event.ended
 * Does   open · check · close · grant · recall (effects.ts)
 *
 * Promise: of a function's events no more run at a time than its limit, begun in the order they came, however many pollers
 * there are: one of them has all of them, from every source. (What a killed one had begun still runs beside.)
 */
import { assign, setup } from "xstate";

/** A queue, and which of its messages are this function's. */
export interface Source {
  readonly stream: string;
  readonly subject: string;
  /** By which takers know each other. */
  readonly name: string;
  /** Whoever takes from it is the one who takes from all of the function's. */
  readonly isFirst: boolean;
}

export interface BacklogInput {
  readonly acct: string;
  readonly fn: string;
  readonly limit: number;
  readonly isPaused: boolean;
  /** So long it stays without work. */
  readonly idleMs: number;
}

export interface BacklogContext extends BacklogInput {
  /** By name: all that ever held something. */
  readonly sources: Readonly<Record<string, Source>>;
  /** Messages in the streams when they were last counted, those in hand included. */
  readonly depth: number;
  /** Ids of events without a slot, oldest first. */
  readonly waiting: readonly string[];
  readonly running: readonly string[];
  /** Ids that just got their slot, for the effect that tells them. */
  readonly granted: readonly string[];
}

export type BacklogEvent =
  | { type: "backlog.stirred"; sources: readonly Source[] }
  | { type: "backlog.counted"; depth: number; sources: readonly Source[] }
  | { type: "backlog.configured"; limit: number; isPaused: boolean }
  | { type: "backlog.yielded" }
  | { type: "backlog.vacated" }
  | { type: "backlog.close" }
  | { type: "event.taken"; id: string }
  | { type: "event.ended"; id: string };

export const backlogMachine = setup({
  types: { context: {} as BacklogContext, input: {} as BacklogInput, events: {} as BacklogEvent },
  delays: { idle: ({ context }) => context.idleMs },
  guards: {
    startsPaused: ({ context }) => context.isPaused,
    isPaused: ({ event }) => event.type === "backlog.configured" && event.isPaused,
    hasMore: ({ event }) => event.type === "backlog.counted" && event.depth > 0,
    hasOtherLimit: ({ context, event }) => event.type === "backlog.configured" && event.limit !== context.limit,
    isEmpty: ({ context, event }) => event.type === "backlog.counted" && event.depth === 0 && isFree(context),
  },
  actions: {
    open: given,
    check: given,
    close: given,
    grant: given,
    recall: given,
    configure: assign(({ event }) =>
      event.type === "backlog.configured" ? { limit: event.limit, isPaused: event.isPaused } : {},
    ),
    learn: assign(({ context, event }) => {
      if (event.type !== "backlog.stirred" && event.type !== "backlog.counted") return {};
      const counted = event.type === "backlog.counted" ? { depth: event.depth } : {};
      const found = event.sources.filter(({ name }) => !(name in context.sources));
      if (found.length === 0) return counted;
      const sources = { ...context.sources, ...Object.fromEntries(found.map((each) => [each.name, each])) };
      return { ...counted, sources };
    }),
    queue: assign(({ context, event }) =>
      event.type === "event.taken" ? { waiting: [...context.waiting, event.id] } : {},
    ),
    free: assign(({ context, event }) =>
      event.type === "event.ended"
        ? {
            waiting: context.waiting.filter((id) => id !== event.id),
            running: context.running.filter((id) => id !== event.id),
          }
        : {},
    ),
    admit: assign(({ context: { waiting, running, limit } }) => {
      const granted = waiting.slice(0, Math.max(0, limit - running.length));
      return granted.length === 0
        ? { granted }
        : { granted, waiting: waiting.slice(granted.length), running: [...running, ...granted] };
    }),
  },
}).createMachine({
  id: "backlog",
  context: ({ input }) => ({ ...input, sources: {}, depth: 0, waiting: [], running: [], granted: [] }),
  initial: "beginning",
  on: {
    "backlog.close": ".gone",
    "event.ended": { actions: ["free", "admit", "grant"] },
  },
  states: {
    beginning: { always: [{ guard: "startsPaused", target: "paused" }, { target: "active" }] },
    active: {
      entry: ["open", "admit", "grant"],
      on: {
        "backlog.stirred": { actions: ["learn", "open"] },
        "backlog.counted": [
          { guard: "isEmpty", target: "idle", actions: "learn" },
          { actions: ["learn", "open", "check"] },
        ],
        "backlog.configured": [
          { guard: "isPaused", target: "paused", actions: "configure" },
          { guard: "hasOtherLimit", target: "active", reenter: true, actions: ["configure", "close"] },
        ],
        "backlog.yielded": "aside",
        "event.taken": { actions: ["queue", "admit", "grant"] },
      },
    },
    aside: {
      entry: ["close", "recall"],
      on: {
        "backlog.stirred": { actions: "learn" },
        "backlog.counted": [{ guard: "isEmpty", target: "gone" }, { actions: ["learn", "check"] }],
        "backlog.vacated": "active",
        "backlog.configured": [{ guard: "isPaused", target: "paused", actions: "configure" }, { actions: "configure" }],
        // Was on its way when taking was stopped.
        "event.taken": { actions: ["queue", "recall"] },
        "event.ended": { actions: "free" },
      },
    },
    idle: {
      on: {
        "backlog.stirred": { target: "active", actions: "learn" },
        "backlog.counted": { guard: "hasMore", target: "active", actions: "learn" },
        "backlog.configured": [
          { guard: "isPaused", target: "paused", actions: "configure" },
          { guard: "hasOtherLimit", target: "active", actions: ["configure", "close"] },
        ],
        "event.taken": { target: "active", actions: "queue" },
      },
      after: { idle: "gone" },
    },
    paused: {
      entry: ["close", "recall"],
      on: {
        "backlog.stirred": { actions: "learn" },
        "backlog.counted": [{ guard: "isEmpty", target: "gone" }, { actions: "learn" }],
        "backlog.configured": [
          { guard: "isPaused", actions: "configure" },
          { target: "active", actions: "configure" },
        ],
        // Was on its way when taking was stopped.
        "event.taken": { actions: ["queue", "recall"] },
        "event.ended": { actions: "free" },
      },
    },
    gone: { type: "final", entry: ["close", "recall"] },
  },
});

const isFree = ({ waiting, running }: BacklogContext): boolean => waiting.length === 0 && running.length === 0;

function given(): void {
  throw new Error("this is given by effects.ts");
}
