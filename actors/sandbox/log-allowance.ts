/**
 * How much of its output a sandbox may have kept: a burst of it, and a steady stream after that. The log's store is shared,
 * and what one function floods pushes the others' history out of it.
 *
 * Nobody waits for it. What is too much is dropped and counted, and the next line that is let through is preceded by one
 * that tells how much is missing. Once exhausted it stays shut until a fair part has grown back, so that a flood leaves
 * blocks of its output with gaps between them, and not every hundredth line.
 */

export interface LogAllowanceLimits {
  readonly burstBytes: number;
  readonly bytesPerSecond: number;
}

/** Ours, not Lambda's: some 100,000 short lines at once, then 16,000 a second. */
export const LOG_LIMITS: LogAllowanceLimits = { burstBytes: 16 * 1024 * 1024, bytesPerSecond: 2 * 1024 * 1024 };

/** What a line takes beside its text, so that empty ones count too. */
const LINE_BYTES = 128;
/** The part of the burst that must have grown back before it opens again. */
const REOPENS_AT = 1 / 4;

export class LogAllowance {
  readonly #limits: LogAllowanceLimits;
  #left: number;
  #countedUs: number | undefined;
  #isShut = false;
  #lines = 0;
  #bytes = 0;

  constructor(limits: LogAllowanceLimits = LOG_LIMITS) {
    this.#limits = limits;
    this.#left = limits.burstBytes;
  }

  /** Whether a line of so many bytes may be kept; `us` is monotonic. */
  admits(bytes: number, us: number): boolean {
    const { burstBytes, bytesPerSecond } = this.#limits;
    const passedUs = us - (this.#countedUs ?? us);
    this.#countedUs = us;
    this.#left = Math.min(burstBytes, this.#left + (passedUs / 1_000_000) * bytesPerSecond);
    if (this.#left >= burstBytes * REOPENS_AT) this.#isShut = false;
    const cost = bytes + LINE_BYTES;
    if (!this.#isShut && this.#left >= cost) {
      this.#left -= cost;
      return true;
    }
    this.#isShut = true;
    this.#lines += 1;
    this.#bytes += bytes;
    return false;
  }

  /** What was dropped since it was last asked; undefined when nothing was. */
  missing(): { readonly lines: number; readonly bytes: number } | undefined {
    if (this.#lines === 0) return undefined;
    const dropped = { lines: this.#lines, bytes: this.#bytes };
    this.#lines = 0;
    this.#bytes = 0;
    return dropped;
  }
}
