/**
 * How far a response may be ahead of a reader who acknowledges what he has read: who sends waits for `room`. A reader who is
 * waited for and says nothing for too long is lost.
 */
import { READER_PATIENCE_MS, WINDOW_BYTES } from "../../subjects/response-stream.ts";

export interface StreamWindowLimits {
  readonly bytes: number;
  readonly patienceMs: number;
}

const LIMITS: StreamWindowLimits = { bytes: WINDOW_BYTES, patienceMs: READER_PATIENCE_MS };

export class StreamWindow {
  readonly #limits: StreamWindowLimits;
  readonly #lost: () => void;
  #sent = 0;
  #taken = 0;
  #waiting: PromiseWithResolvers<void> | undefined;
  #patience: NodeJS.Timeout | undefined;
  #isOpen = true;

  /** `lost` is called once, and whoever waits goes on. */
  constructor(lost: () => void, limits: StreamWindowLimits = LIMITS) {
    this.#lost = lost;
    this.#limits = limits;
  }

  sent(bytes: number): void {
    this.#sent += bytes;
  }

  /** All that was sent up to so many bytes has been read. What was never sent can't have been. */
  took(bytes: number): void {
    if (bytes <= this.#taken || bytes > this.#sent) return;
    this.#taken = bytes;
    if (this.#hasRoom) this.#goOn();
    else this.#patience?.refresh();
  }

  /** Resolves when more may be sent, or nobody waits for it any more. */
  async room(): Promise<void> {
    if (this.#hasRoom) return;
    this.#waiting ??= Promise.withResolvers();
    this.#patience ??= setTimeout(() => {
      this.close();
      this.#lost();
    }, this.#limits.patienceMs).unref();
    await this.#waiting.promise;
  }

  /** There is nobody to wait for any more. */
  close(): void {
    this.#isOpen = false;
    this.#goOn();
  }

  get #hasRoom(): boolean {
    return !this.#isOpen || this.#sent - this.#taken <= this.#limits.bytes;
  }

  #goOn(): void {
    clearTimeout(this.#patience);
    this.#patience = undefined;
    this.#waiting?.resolve();
    this.#waiting = undefined;
  }
}
