/**
 * Gathers records into batches and sees that no more of them run at a time than may. A batch is full at its size or at 6 MB;
 * one that isn't is run when its oldest record has waited for the window.
 *
 * In order, each subject has a lane of its own with one batch at a time; else there is one lane, of as many as may run.
 */
import type { SourceMessage } from "../bus/sources.ts";

/** A record on its way into a batch. */
export interface Held {
  readonly id: string;
  /** Epoch ms. */
  readonly storedAt: number;
  /** As it stands in the event. */
  readonly json: string;
  /** Of `json`. */
  readonly bytes: number;
  readonly message: SourceMessage;
}

export interface BatchOptions {
  readonly batchSize: number;
  readonly windowMs: number;
  /** Batches that run at the same time. */
  readonly atMost: number;
  readonly inOrder: boolean;
  /** Runs a batch to its end; never rejects. */
  readonly run: (records: readonly Held[]) => Promise<void>;
}

/** Source: Lambda developer guide, "Batching behavior": the payload limit of an invocation. */
const MAX_BYTES = 6 * 1024 * 1024;
/** Room for what stands around the records. */
const ENVELOPE_BYTES = 1024;

interface Lane {
  readonly records: Held[];
  bytes: number;
  running: number;
  window: NodeJS.Timeout | undefined;
  isDue: boolean;
}

export class Batches {
  readonly #options: BatchOptions;
  readonly #lanes = new Map<string, Lane>();
  #running = 0;
  #isPumping = false;
  #isStopped = false;

  constructor(options: BatchOptions) {
    this.#options = options;
  }

  add(record: Held): void {
    const { inOrder, windowMs } = this.#options;
    const name = inOrder ? record.message.subject : "";
    const lane = this.#lanes.get(name) ?? { records: [], bytes: 0, running: 0, window: undefined, isDue: false };
    this.#lanes.set(name, lane);
    lane.records.push(record);
    lane.bytes += record.bytes;
    if (windowMs === 0) lane.isDue = true;
    else lane.window ??= this.#opened(lane);
    this.#pumpSoon();
  }

  /** Takes up no more; what waits is given to whoever asks for the records next. */
  stop(): readonly Held[] {
    this.#isStopped = true;
    const waiting = [...this.#lanes.values()].flatMap(({ window, records }) => {
      clearTimeout(window);
      return records.splice(0);
    });
    this.#lanes.clear();
    return waiting;
  }

  #opened(lane: Lane): NodeJS.Timeout {
    return setTimeout(() => {
      lane.isDue = true;
      this.#pumpSoon();
    }, this.#options.windowMs);
  }

  /** What comes in one turn of the event loop goes into one batch, as far as it fits. */
  #pumpSoon(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    setImmediate(() => {
      this.#isPumping = false;
      this.#pump();
    });
  }

  #pump(): void {
    const { batchSize, atMost, inOrder } = this.#options;
    for (const [name, lane] of this.#lanes) {
      const isReady = () =>
        lane.records.length > 0 && (lane.isDue || lane.records.length >= batchSize || lane.bytes >= MAX_BYTES);
      while (!this.#isStopped && this.#running < atMost && !(inOrder && lane.running > 0) && isReady()) {
        void this.#run(lane, this.#cut(lane));
      }
      if (inOrder && lane.records.length === 0 && lane.running === 0) this.#lanes.delete(name);
    }
  }

  #cut(lane: Lane): readonly Held[] {
    const { batchSize, windowMs } = this.#options;
    let bytes = 0;
    let count = 0;
    for (const record of lane.records) {
      if (count === batchSize || (count > 0 && bytes + record.bytes > MAX_BYTES - ENVELOPE_BYTES)) break;
      bytes += record.bytes;
      count += 1;
    }
    const cut = lane.records.splice(0, count);
    lane.bytes -= bytes;
    clearTimeout(lane.window);
    lane.window = undefined;
    lane.isDue = windowMs === 0;
    // What is left of a burst begins a window of its own.
    if (lane.records.length > 0 && windowMs > 0) lane.window = this.#opened(lane);
    return cut;
  }

  async #run(lane: Lane, records: readonly Held[]): Promise<void> {
    this.#running += 1;
    lane.running += 1;
    await this.#options.run(records);
    this.#running -= 1;
    lane.running -= 1;
    this.#pumpSoon();
  }
}
