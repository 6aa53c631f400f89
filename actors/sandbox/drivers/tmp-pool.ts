/**
 * Mounted, empty /tmp's waiting to be used: mounting takes a process, and a cold start has no time for one.
 *
 * Only the usual size is kept ready; another size is mounted when asked for. One that was used is never used again.
 */
import { join } from "node:path";
import { KeptReady } from "./kept-ready.ts";
import { OwnMount } from "./own-mount.ts";
import { mountTmp } from "./private-mounts.ts";

export interface TmpPoolOptions {
  readonly folder: string;
  readonly usualMiB: number;
  /** How many are kept ready. */
  readonly ready: number;
}

export class TmpPool {
  readonly #options: TmpPoolOptions;
  readonly #ready: KeptReady<OwnMount>;
  #made = 0;

  constructor(options: TmpPoolOptions) {
    this.#options = options;
    const { ready, usualMiB } = options;
    this.#ready = new KeptReady({ ready, make: () => this.#mount(usualMiB), end: (tmp) => tmp.end() });
  }

  /** An empty /tmp of `sizeMiB`, now the caller's, and his to end. */
  async take(sizeMiB: number): Promise<OwnMount> {
    const tmp = sizeMiB === this.#options.usualMiB ? this.#ready.take() : undefined;
    return tmp ?? this.#mount(sizeMiB);
  }

  /** Ends those nobody took. */
  close(): Promise<void> {
    return this.#ready.close();
  }

  async #mount(sizeMiB: number): Promise<OwnMount> {
    this.#made += 1;
    const path = join(this.#options.folder, String(this.#made));
    await mountTmp(path, sizeMiB);
    return new OwnMount(path);
  }
}
