/** Work that nobody waits for, until it is time to leave. */
export class Background {
  readonly #failed: (error: unknown) => void;
  readonly #underWay = new Set<Promise<void>>();

  /** `failed` is told of what rejects. */
  constructor(failed: (error: unknown) => void) {
    this.#failed = failed;
  }

  add(work: Promise<void>): void {
    const done = work.catch(this.#failed).finally(() => this.#underWay.delete(done));
    this.#underWay.add(done);
  }

  /** Resolves when nothing is under way, also of what was added meanwhile. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }
}
