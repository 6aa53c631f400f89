/**
 * Mounted, empty /tmp's waiting to be used: mounting takes a process, and a cold start has no time for one.
 *
 * Only the usual size is kept ready; another size is mounted when asked for. One that was used is never used again.
 */
import { join } from "node:path";
import { OwnMount } from "./own-mount.ts";
import { mountTmp } from "./private-mounts.ts";

const REFILL_AFTER_MS = 100;

export interface TmpPoolOptions {
  readonly folder: string;
  readonly usualMiB: number;
  /** How many are kept ready. */
  readonly ready: number;
}

export class TmpPool {
  readonly #options: TmpPoolOptions;
  readonly #ready: OwnMount[] = [];
  #filling: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #made = 0;
  #closed = false;

  constructor(options: TmpPoolOptions) {
    this.#options = options;
    this.#refill();
  }

  /** An empty /tmp of `sizeMiB`, now the caller's, and his to end. */
  async take(sizeMiB: number): Promise<OwnMount> {
    const tmp = sizeMiB === this.#options.usualMiB ? this.#ready.pop() : undefined;
    if (tmp) this.#refillSoon();
    return tmp ?? this.#mount(sizeMiB);
  }

  /** Ends those nobody took. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#filling;
    await Promise.all(this.#ready.splice(0).map((tmp) => tmp.end()));
  }

  async #mount(sizeMiB: number): Promise<OwnMount> {
    this.#made += 1;
    const path = join(this.#options.folder, String(this.#made));
    await mountTmp(path, sizeMiB);
    return new OwnMount(path);
  }

  /** Starting a process holds up the worker for a millisecond or two: not while a sandbox is being made. */
  #refillSoon(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#refill();
    }, REFILL_AFTER_MS).unref();
  }

  /** One at a time and in the background; a failure leaves the pool short, and `take` then meets it itself. */
  #refill(): void {
    this.#filling = this.#filling.then(async () => {
      while (!this.#closed && this.#ready.length < this.#options.ready) {
        const tmp = await this.#mount(this.#options.usualMiB).catch(() => undefined);
        if (tmp === undefined) return;
        this.#ready.push(tmp);
      }
    });
  }
}
