/** Things that are made in the background before anybody needs them, because making one takes longer than a start has. */

/** Starting a process holds up the worker for a millisecond or two: not while a sandbox is being made. */
const REFILL_AFTER_MS = 100;

export interface Kind<T> {
  /** How many are kept ready. */
  readonly ready: number;
  make(): Promise<T>;
  /** Ends one that nobody took. */
  end(one: T): Promise<unknown>;
}

export class KeptReady<T> {
  readonly #kind: Kind<T>;
  readonly #ready: T[] = [];
  #filling: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(kind: Kind<T>) {
    this.#kind = kind;
    this.#refill();
  }

  /** One that waits, now the caller's, and made anew a moment later; undefined where there is none. */
  take(): T | undefined {
    const one = this.#ready.pop();
    if (one !== undefined) {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#refill(), REFILL_AFTER_MS).unref();
    }
    return one;
  }

  /** Ends those nobody took. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#filling;
    await Promise.all(this.#ready.splice(0).map((one) => this.#kind.end(one)));
  }

  /** One at a time; a failure leaves too few, and it has to be done without. */
  #refill(): void {
    this.#filling = this.#filling.then(async () => {
      while (!this.#closed && this.#ready.length < this.#kind.ready) {
        const one = await this.#kind.make().catch(() => undefined);
        if (one === undefined) return;
        this.#ready.push(one);
      }
    });
  }
}
