/**
 * How far a response may be ahead of a reader who acknowledges what he has read: who sends waits for `room`. A reader who is
 * waited for is asked now and then whether he is there, and lost when he says nothing for too long.
 */
import { READER_ASKED_MS, READER_PATIENCE_MS, WINDOW_BYTES } from "../../subjects/response-stream.ts";

export interface StreamWindowLimits {
  readonly bytes: number;
  readonly askMs: number;
  readonly patienceMs: number;
}

const LIMITS: StreamWindowLimits = { bytes: WINDOW_BYTES, askMs: READER_ASKED_MS, patienceMs: READER_PATIENCE_MS };

export interface WaitedFor {
  /** Asks him. */
  ask(): void;
  /** Called once, and whoever waits goes on. */
  lost(): void;
}

export class StreamWindow {
  readonly #limits: StreamWindowLimits;
  readonly #reader: WaitedFor;
  #sent = 0;
  #taken = 0;
  #waiting: PromiseWithResolvers<void> | undefined;
  #asking: NodeJS.Timeout | undefined;
  #silentMs = 0;
  #isOpen = true;

  constructor(reader: WaitedFor, limits: StreamWindowLimits = LIMITS) {
    this.#reader = reader;
    this.#limits = limits;
  }

  sent(bytes: number): void {
    this.#sent += bytes;
  }

  /** All that was sent up to so many bytes has been read. What was never sent can't have been. */
  took(bytes: number): void {
    if (bytes <= this.#taken || bytes > this.#sent) return;
    this.#taken = bytes;
    if (this.#hasRoom) return this.#goOn();
    this.#silentMs = 0;
    this.#asking?.refresh();
  }

  /** Resolves when more may be sent, or nobody waits for it any more. */
  async room(): Promise<void> {
    if (this.#hasRoom) return;
    this.#waiting ??= Promise.withResolvers();
    this.#asking ??= setInterval(() => this.#wait(), this.#limits.askMs).unref();
    await this.#waiting.promise;
  }

  #wait(): void {
    this.#silentMs += this.#limits.askMs;
    if (this.#silentMs < this.#limits.patienceMs) return this.#reader.ask();
    this.close();
    this.#reader.lost();
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
    clearInterval(this.#asking);
    this.#asking = undefined;
    this.#silentMs = 0;
    this.#waiting?.resolve();
    this.#waiting = undefined;
  }
}
