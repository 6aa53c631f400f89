/** One execution environment's place: its /tmp, user, group and views stay; lives come and go in it. */
import { type Booted, BootFailed, type Enclosure, type Mount } from "../driver.ts";
import type { PlacesOfOne } from "../late-places.ts";
import { beginLife, type LifeSpec } from "./life.ts";

export class BubblewrapEnclosure implements Enclosure {
  readonly id: string;
  readonly #spec: LifeSpec;
  readonly #places: PlacesOfOne | undefined;
  readonly #release: () => Promise<void>;
  #life: Promise<Booted> | undefined;
  #running = false;
  #frozen = false;
  #switched: Promise<void> = Promise.resolve();
  #destroyed: Promise<void> | undefined;

  /** `release` gives back all the driver reserved for it; called once, when no process is left. */
  constructor(id: string, spec: LifeSpec, places: PlacesOfOne | undefined, release: () => Promise<void>) {
    this.id = id;
    this.#spec = spec;
    this.#places = places;
    this.#release = release;
  }

  async boot(): Promise<Booted> {
    if (this.#destroyed) throw new BootFailed(`enclosure ${this.id} is destroyed`);
    if (this.#running) throw new BootFailed(`enclosure ${this.id} still runs`);
    this.#running = true;
    const ended = () => {
      this.#running = false;
    };
    this.#life = this.#frozen ? this.thaw().then(() => beginLife(this.#spec)) : beginLife(this.#spec);
    this.#life.then((booted) => booted.exited).then(ended, ended);
    return this.#life;
  }

  async stats(): Promise<{ memoryBytes: number; peakMemoryBytes: number }> {
    const { currentBytes, peakBytes } = await this.#spec.cgroup.memory();
    return { memoryBytes: currentBytes, peakMemoryBytes: peakBytes };
  }

  setCpus(cpus: number): Promise<void> {
    return this.#spec.cgroup.setCpus(cpus);
  }

  freeze(): Promise<void> {
    this.#frozen = true;
    return this.#switch(() => this.#spec.cgroup.freeze());
  }

  async thaw(): Promise<void> {
    if (!this.#frozen) return;
    this.#frozen = false;
    await this.#switch(() => this.#spec.cgroup.thaw());
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
      if (!this.#places) throw new Error(`enclosure ${this.id} has no places for code`);
      await this.#places.place(mount);
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
    await this.#release();
  }
}
