/**
 * What became of the events. In all, since the streams are: *accepted = succeeded + dead + waiting + running*, read from the
 * streams, so that it holds whoever was killed. The shards' last sequences are what was accepted, DEAD's is what died, and
 * what the queues hold waits or runs. An event leaves the queues only when it succeeded or its dead letter was stored: the
 * rest succeeded, each once, however often it was run.
 *
 * By function, and for what no stream tells, counted by this poller since it started.
 */
import { ASYNC_STREAMS, DEAD_STREAM, RETRY_STREAM } from "../../subjects/streams.ts";
import type { WorkQueues } from "../bus/queues.ts";

export interface Counters {
  /** Taken out of a queue for the first time; neither attempts nor what waits for one count. */
  taken: number;
  succeeded: number;
  dead: number;
  /** Attempts that led to another one. */
  retried: number;
  /** Delivered again while, or after, they were in hand: the price of at-least-once. */
  duplicates: number;
  /** Destinations that could not be told. */
  undelivered: number;
}

export interface Totals {
  readonly accepted: number;
  readonly succeeded: number;
  readonly dead: number;
  readonly waiting: number;
  /** By the poller that is asked; what others run counts as waiting. */
  readonly running: number;
}

export const nothing = (): Counters => ({ taken: 0, succeeded: 0, dead: 0, retried: 0, duplicates: 0, undelivered: 0 });

/** While events move no reading of several streams is of one instant: so often it is tried to find them still. */
const READINGS = 5;

interface Reading {
  readonly accepted: number;
  readonly dead: number;
  readonly held: number;
}

export class Tally {
  readonly #queues: Pick<WorkQueues, "state">;
  readonly #byFunction = new Map<string, Counters>();
  readonly #all = nothing();
  #latest: Totals | undefined;

  constructor(queues: Pick<WorkQueues, "state">) {
    this.#queues = queues;
  }

  count(acct: string, fn: string, what: keyof Counters): void {
    const key = `${acct}.${fn}`;
    const counters = this.#byFunction.get(key) ?? nothing();
    this.#byFunction.set(key, counters);
    counters[what] += 1;
    this.#all[what] += 1;
  }

  byFunction(): ReadonlyMap<string, Readonly<Counters>> {
    return this.#byFunction;
  }

  counted(): Readonly<Counters> {
    return this.#all;
  }

  /** As they were last read. */
  latest(): Totals | undefined {
    return this.#latest;
  }

  async totals(running: () => number): Promise<Totals> {
    let last = await this.#read();
    for (let read = 1; read < READINGS; read++) {
      const again = await this.#read();
      const isStill = again.accepted === last.accepted && again.dead === last.dead && again.held === last.held;
      last = again;
      if (isStill) break;
    }
    const { accepted, dead, held } = last;
    const runs = Math.min(held, running());
    this.#latest = { accepted, succeeded: accepted - dead - held, dead, waiting: held - runs, running: runs };
    return this.#latest;
  }

  async #read(): Promise<Reading> {
    const [dead, retry, ...shards] = await Promise.all(
      [DEAD_STREAM, RETRY_STREAM, ...ASYNC_STREAMS].map((stream) => this.#queues.state(stream)),
    );
    return {
      accepted: shards.reduce((sum, { lastSequence }) => sum + lastSequence, 0),
      dead: dead?.lastSequence ?? 0,
      held: shards.reduce((sum, { messages }) => sum + messages, retry?.messages ?? 0),
    };
  }
}
