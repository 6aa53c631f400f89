/**
 * How fast a response may stream: the first of it as fast as it comes, then at a steady rate. A caller whose connection
 * can't follow is cut off by the server; at this rate he can, and neighbours are served beside the largest response.
 */

export interface StreamPaceLimits {
  readonly burstBytes: number;
  readonly bytesPerSecond: number;
}

const MIB = 1024 * 1024;

/** Source: Lambda developer guide, "Response streaming": 6 MB without limit. `rate` is MiB a second. */
export const streamPaceOf = (rate: number): StreamPaceLimits => ({ burstBytes: 6 * MIB, bytesPerSecond: rate * MIB });

export class StreamPace {
  readonly #limits: StreamPaceLimits;
  #left: number;
  #countedUs: number | undefined;

  constructor(limits: StreamPaceLimits) {
    this.#limits = limits;
    this.#left = limits.burstBytes;
  }

  /** How many milliseconds to wait for more after these bytes; `us` is monotonic. */
  pause(bytes: number, us: number): number {
    const { burstBytes, bytesPerSecond } = this.#limits;
    const passedUs = us - (this.#countedUs ?? us);
    this.#countedUs = us;
    this.#left = Math.min(burstBytes, this.#left + (passedUs / 1_000_000) * bytesPerSecond) - bytes;
    return Math.max(0, (-this.#left / bytesPerSecond) * 1000);
  }
}
