/** One execution environment's place: its /tmp, user, group and views stay; lives come and go in it. */
import type { Cgroup } from "./cgroups/cgroup.ts";
import { type Booted, BootFailed, type Enclosure, type Mount } from "./driver.ts";
import type { PlacesOfOne } from "./late-places.ts";

export interface Kept {
  readonly cgroup: Cgroup;
  /** Undefined where the spec has none. */
  readonly places: PlacesOfOne | undefined;
  /** Begins a life; rejects with `BootFailed`, leaving nothing. Never called while one lasts. */
  begin(): Promise<Booted>;
  /** Its life goes on by itself, and isn't begun anew soon. */
  rest(): void;
  /** Gives back all the driver reserved for it; called once, when no process is left. */
  release(): Promise<void>;
}

export class KeptEnclosure implements Enclosure {
  readonly id: string;
  readonly #kept: Kept;
  #life: Promise<Booted> | undefined;
  #running = false;
  #frozen = false;
  #switched: Promise<void> = Promise.resolve();
  #destroyed: Promise<void> | undefined;

  constructor(id: string, kept: Kept) {
    this.id = id;
    this.#kept = kept;
  }

  async boot(): Promise<Booted> {
    if (this.#destroyed) throw new BootFailed(`enclosure ${this.id} is destroyed`);
    if (this.#running) throw new BootFailed(`enclosure ${this.id} still runs`);
    this.#running = true;
    const ended = () => {
      this.#running = false;
    };
    this.#life = this.#frozen ? this.thaw().then(() => this.#kept.begin()) : this.#kept.begin();
    this.#life.then((booted) => booted.exited).then(ended, ended);
    return this.#life;
  }

  async stats(): Promise<{ memoryBytes: number; peakMemoryBytes: number }> {
    const { currentBytes, peakBytes } = await this.#kept.cgroup.memory();
    return { memoryBytes: currentBytes, peakMemoryBytes: peakBytes };
  }

  setCpus(cpus: number): Promise<void> {
    return this.#kept.cgroup.setCpus(cpus);
  }

  freeze(): Promise<void> {
    this.#frozen = true;
    this.#kept.rest();
    return this.#switch(() => this.#kept.cgroup.freeze());
  }

  async thaw(): Promise<void> {
    if (!this.#frozen) return;
    this.#frozen = false;
    await this.#switch(() => this.#kept.cgroup.thaw());
  }

  /** One after the other: the latest must be what counts. */
  #switch(step: () => Promise<void>): Promise<void> {
    const switched = this.#switched.then(step);
    this.#switched = switched.catch(() => {});
    return switched;
  }

  async placeCode(mounts: readonly Mount[]): Promise<void> {
    for (const mount of mounts) {
      if (this.#destroyed) throw new Error(`enclosure ${this.id} is destroyed`);
      if (!this.#kept.places) throw new Error(`enclosure ${this.id} has no places for code`);
      await this.#kept.places.place(mount);
    }
  }

  destroy(): Promise<void> {
    this.#destroyed ??= this.#end();
    return this.#destroyed;
  }

  async #end(): Promise<void> {
    // A life that is just beginning can't be stopped half-way: it is waited for, some milliseconds, and then killed.
    const booted = await this.#life?.catch(() => undefined);
    await booted?.kill();
    await this.#kept.release();
  }
}
