/**
 * The most memory a sandbox has used so far. Reading it is slower than a warm invocation, so it is rarely read, and waited
 * for only when a process has ended.
 */
import type { Enclosure } from "./drivers/driver.ts";

const MIB = 1024 * 1024;
const SAMPLE_MS = 1000;

export class PeakMemory {
  #sampledMs = 0;
  /** As last read; 0 where nothing measures it. */
  mib = 0;

  /** At most once a second. */
  sampleSeldom(enclosure: Enclosure | undefined): void {
    if (Date.now() - this.#sampledMs > SAMPLE_MS) void this.sample(enclosure);
  }

  /** Of a process that has ended. Gives, where it was killed for its memory, how many MiB of that are taken still. */
  async last(enclosure: Enclosure | undefined, { outOfMemory }: { readonly outOfMemory: boolean }): Promise<number> {
    await this.sample(enclosure);
    const keptBytes = outOfMemory ? await enclosure?.keptBytes().catch(() => 0) : 0;
    return Math.ceil((keptBytes ?? 0) / MIB);
  }

  async sample(enclosure: Enclosure | undefined): Promise<void> {
    this.#sampledMs = Date.now();
    const stats = await enclosure?.stats().catch(() => undefined);
    if (stats) this.mib = Math.ceil(stats.peakMemoryBytes / MIB);
  }
}
