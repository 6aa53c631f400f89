/**
 * What became of the events since this poller started, by function and in all. In all it can be checked against the
 * streams: *accepted = succeeded + dead + waiting + running*, where accepted is what they held when it started and what
 * they have stored since. With several pollers, succeeded and dead are the sums of theirs.
 */
import { ASYNC_STREAMS, RETRY_STREAM } from "../../subjects/streams.ts";
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

export interface Totals extends Counters {
  readonly accepted: number;
  readonly waiting: number;
  readonly running: number;
}

export const nothing = (): Counters => ({ taken: 0, succeeded: 0, dead: 0, retried: 0, duplicates: 0, undelivered: 0 });

export class Tally {
  readonly #queues: Pick<WorkQueues, "state">;
  readonly #byFunction = new Map<string, Counters>();
  readonly #all = nothing();
  #acceptedBefore = 0;

  constructor(queues: Pick<WorkQueues, "state">) {
    this.#queues = queues;
  }

  /** Before anything is taken: what the streams hold now counts as accepted. */
  async begin(): Promise<void> {
    const { everAccepted, held } = await this.#streams();
    this.#acceptedBefore = everAccepted - held;
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

  async totals(running: number): Promise<Totals> {
    const { everAccepted, held } = await this.#streams();
    return { accepted: everAccepted - this.#acceptedBefore, ...this.#all, waiting: held - running, running };
  }

  async #streams(): Promise<{ everAccepted: number; held: number }> {
    const [retry, ...shards] = await Promise.all(
      [RETRY_STREAM, ...ASYNC_STREAMS].map((stream) => this.#queues.state(stream)),
    );
    const everAccepted = shards.reduce((sum, { lastSequence }) => sum + lastSequence, 0);
    return { everAccepted, held: shards.reduce((sum, { messages }) => sum + messages, retry?.messages ?? 0) };
  }
}
