/** The reading from a process, held back by whoever can't take more: it goes on when none of them holds it any more. */
import type { Readable } from "node:stream";

export class Tap {
  readonly #streams: readonly Readable[];
  #holders = 0;

  constructor(streams: readonly Readable[]) {
    this.#streams = streams;
  }

  /** Nothing more is read until `until` settles, however it does. */
  async hold(until: Promise<unknown>): Promise<void> {
    this.#holders += 1;
    for (const stream of this.#streams) stream.pause();
    await until.catch(() => {});
    this.#holders -= 1;
    if (this.#holders === 0) for (const stream of this.#streams) stream.resume();
  }
}

/** Resolves when all that its other end wrote has been read. */
export async function readToItsEnd(stream: Readable): Promise<void> {
  if (!stream.readableEnded && !stream.destroyed) await new Promise((resolve) => stream.once("close", resolve));
}
