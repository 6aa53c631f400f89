/**
 * Stem cells: sandboxes that are isolated, limited and booted before anybody needs them, with a runtime that waits for its
 * first frame. They hold no code, no name and no environment of any function; the first one to need such a sandbox gets
 * it, for good, and what is to be seen inside is placed then.
 *
 * Promises
 *   a cell is given away once: it leaves the pool before anything of a function reaches it, and never comes back
 *   whoever takes one waits for no other: cells are made in the background, one at a time, a moment after one was taken
 *   one that died or can't be filled is never given away: the taker then makes its sandbox itself
 */
import type { Booted, Enclosure, EnclosureSpec, Mount, SandboxDriver } from "../drivers/driver.ts";
import { remembered, type StemLimits, targets } from "./policy.ts";

/** Where things of a function are seen: all else belongs to the runtime, and is there from the beginning. */
const PLACES: readonly string[] = ["/var/task", "/opt"];

/** A start takes its processor time first. */
const REFILL_AFTER_MS = 100;
/** Of one kind: more of them don't tell more. */
const REMEMBERED_ASKS = 256;

export interface StemCellsOptions {
  readonly driver: Pick<SandboxDriver, "create">;
  readonly limits: StemLimits;
  /** Monotonic. */
  readonly nowMs: () => number;
  /** One could not be made or removed. No other of its kind is made until one is asked for. */
  readonly failed: (error: unknown) => void;
}

export interface Cell {
  readonly enclosure: Enclosure;
  readonly booted: Booted;
}

/** What is the same in all sandboxes of a kind. */
type Plan = Omit<EnclosureSpec, "id">;

interface Kind {
  readonly plan: Plan;
  readonly ready: Cell[];
  askedAt: readonly number[];
  atLeast: number;
  /** The last one could not be made. */
  failed: boolean;
}

export class StemCells {
  readonly #options: StemCellsOptions;
  readonly #kinds = new Map<string, Kind>();
  #timer: NodeJS.Timeout | undefined;
  #dueMs = Number.POSITIVE_INFINITY;
  #filling: Promise<void> = Promise.resolve();
  #made = 0;
  /** Counts `renew`: what was being made meanwhile isn't kept. */
  #turn = 0;
  #closed = false;

  constructor(options: StemCellsOptions) {
    this.#options = options;
  }

  /** From now on `count` of the kind that `spec` is of are ready also when nobody asks. */
  keep(spec: EnclosureSpec, count: number): void {
    this.#kindOf(spec).atLeast = count;
    this.#level(0);
  }

  /** A booted sandbox with everything that `spec` wants to be seen in it; undefined where there is none. Never rejects. */
  async take(spec: EnclosureSpec): Promise<Cell | undefined> {
    if (this.#closed) return undefined;
    const kind = this.#kindOf(spec);
    const now = this.#options.nowMs();
    kind.askedAt = [...remembered(kind.askedAt, now, this.#options.limits), now].slice(-REMEMBERED_ASKS);
    kind.failed = false;
    const cell = kind.ready.shift();
    this.#level(REFILL_AFTER_MS);
    if (cell === undefined) return undefined;
    let isGone = false;
    void cell.booted.exited.then(() => {
      isGone = true;
    });
    try {
      await cell.enclosure.placeCode(spec.mounts.filter(isPlaced));
      if (isGone) throw new Error("it ended while its code was placed");
      return cell;
    } catch (error) {
      this.#options.failed(error);
      this.#end(cell);
      return undefined;
    }
  }

  /** What they are made of has been replaced, or may have been: those that are ready are given to nobody. */
  renew(): void {
    this.#turn += 1;
    for (const { ready } of this.#kinds.values()) for (const cell of ready.splice(0)) this.#end(cell);
    this.#level(REFILL_AFTER_MS);
  }

  /** Makes no more, and ends those nobody took. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#filling;
    const cells = [...this.#kinds.values()].flatMap(({ ready }) => ready.splice(0));
    await Promise.all(cells.map(({ enclosure }) => enclosure.destroy()));
  }

  #kindOf(spec: EnclosureSpec): Kind {
    const { id: _, ...rest } = spec;
    const plan = { ...rest, mounts: spec.mounts.filter((mount) => !isPlaced(mount)), latePlaces: PLACES };
    const key = JSON.stringify(plan);
    const kind = this.#kinds.get(key) ?? { plan, ready: [], askedAt: [], atLeast: 0, failed: false };
    this.#kinds.set(key, kind);
    return kind;
  }

  /** Brings all kinds to their targets after a while; of several calls the one that is due first counts. */
  #level(afterMs: number): void {
    const dueMs = this.#options.nowMs() + afterMs;
    if (this.#closed || dueMs >= this.#dueMs) return;
    clearTimeout(this.#timer);
    this.#dueMs = dueMs;
    this.#timer = setTimeout(() => {
      this.#dueMs = Number.POSITIVE_INFINITY;
      this.#filling = this.#filling.then(() => this.#fill());
    }, afterMs).unref();
  }

  async #fill(): Promise<void> {
    while (!this.#closed) {
      const kinds = [...this.#kinds.values()];
      const aims = targets(kinds, this.#options.nowMs(), this.#options.limits);
      for (const [index, { ready }] of kinds.entries())
        for (const cell of ready.splice(aims[index] ?? 0)) this.#end(cell);
      const short = kinds.find(({ ready, failed }, index) => !failed && ready.length < (aims[index] ?? 0));
      if (short === undefined) break;
      await this.#make(short).catch((error: unknown) => {
        short.failed = true;
        this.#options.failed(error);
      });
    }
    this.#forget();
    // What is ready for a burst that won't be remembered much longer.
    if (this.#kinds.size > 0) this.#level(this.#options.limits.memoryMs / 4);
  }

  async #make(kind: Kind): Promise<void> {
    this.#made += 1;
    const turn = this.#turn;
    const enclosure = await this.#options.driver.create({ ...kind.plan, id: `stem-${this.#made}` });
    try {
      const booted = await enclosure.boot();
      if (turn !== this.#turn) return await enclosure.destroy();
      const cell = { enclosure, booted };
      kind.ready.push(cell);
      void booted.exited.then(() => {
        const at = kind.ready.indexOf(cell);
        if (at < 0) return;
        kind.ready.splice(at, 1);
        kind.failed = true;
        this.#end(cell);
      });
    } catch (error) {
      await enclosure.destroy();
      throw error;
    }
  }

  #forget(): void {
    for (const [key, { ready, askedAt, atLeast }] of this.#kinds) {
      const asks = remembered(askedAt, this.#options.nowMs(), this.#options.limits);
      if (ready.length === 0 && atLeast === 0 && asks.length === 0) this.#kinds.delete(key);
    }
  }

  #end({ enclosure }: Cell): void {
    enclosure.destroy().catch(this.#options.failed);
  }
}

const isPlaced = ({ to }: Mount): boolean => PLACES.includes(to);
