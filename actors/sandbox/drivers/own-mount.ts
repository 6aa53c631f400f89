/**
 * A mount that is for one sandbox, which has it for itself as soon as it runs. In the worker's mounts it is needed while a
 * life begins; from when the sandbox first rests it is hidden there. Bubblewrap reads the list of all mounts for each that it
 * makes, some thirty times a start: beside a hundred idle sandboxes a start took twice its time, beside three hundred five times.
 */
import { rm } from "node:fs/promises";
import { canHideMounts, inMounts } from "./mounter.ts";
import { unmount } from "./private-mounts.ts";

export class OwnMount {
  readonly path: string;
  /** After all that was asked for so far. */
  #isHidden: Promise<boolean> = Promise.resolve(false);

  constructor(path: string) {
    this.path = path;
  }

  /** A sandbox that has it keeps it. Nobody waits for this, and where it can't be done it stays where it is. */
  hide(): void {
    if (!canHideMounts) return;
    this.#isHidden = this.#isHidden.then(
      (isHidden) =>
        isHidden ||
        inMounts("hide", this.path).then(
          () => true,
          () => false,
        ),
    );
  }

  /** Resolves when a life can begin with it. Rejects when it is lost, with whoever kept it. */
  show(): Promise<void> {
    const shown = this.#isHidden.then((isHidden) => (isHidden ? inMounts("show", this.path) : undefined));
    this.#isHidden = shown.then(
      () => false,
      () => true,
    );
    return shown;
  }

  /** Takes it down, and removes what it was on. */
  async end(): Promise<void> {
    await this.#isHidden;
    const isForgotten =
      canHideMounts &&
      (await inMounts("forget", this.path).then(
        () => true,
        () => false,
      ));
    if (!isForgotten) return unmount(this.path);
    await rm(this.path, { recursive: true, force: true });
  }
}
