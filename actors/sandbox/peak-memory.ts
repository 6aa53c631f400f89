/** The most memory a sandbox has used so far. Reading it is slower than a warm invocation, so it is rarely read, and not waited for. */
import type { Enclosure } from "./drivers/driver.ts";

const MIB = 1024 * 1024;
const SAMPLE_MS = 1000;

export class PeakMemory {
  #sampledMs = 0;
  /** As last read; 0 where nothing measures it. */
  mib = 0;

  /** At most once a second. */
  sampleSeldom(enclosure: Enclosure | undefined): void {
    if (Date.now() - this.#sampledMs > SAMPLE_MS) this.sample(enclosure);
  }

  sample(enclosure: Enclosure | undefined): void {
    this.#sampledMs = Date.now();
    enclosure
      ?.stats()
      .then(({ peakMemoryBytes }) => {
        this.mib = Math.ceil(peakMemoryBytes / MIB);
      })
      .catch(() => {});
  }
}
