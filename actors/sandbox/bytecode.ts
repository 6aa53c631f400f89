/**
 * Bytecode of a function version: one sandbox hands it over when it has nothing else to do, and later ones of the very same
 * version begin with it. To the worker it is nothing but bytes.
 *
 * What is handed over was made by code of a stranger. It is never given to anybody else: which lives share it is for the
 * keeper to say.
 */
import type { Writable } from "node:stream";
import { encode } from "./frames.ts";
import { HAND_OVER_MS, handOverAfterMs } from "./policy.ts";

export const encodeBytecode = (kept: Uint8Array): Buffer => encode(0x04, kept);

export const encodeHandOver = (): Buffer => encode(0x05, new Uint8Array());

/** What is kept for one function version on one build of its runtime. Nothing here rejects or throws. */
export interface KeptBytecode {
  /** Undefined where there is none. */
  read(): Promise<Buffer | undefined>;
  /** To make it: undefined where there is some, where somebody else is at it, or where it isn't wanted. */
  claim(): BytecodeClaim | undefined;
  /** A life that began with it crashed before it was ready: it goes. */
  failed(): void;
}

/** Given back or fulfilled once; whichever is first counts. */
export interface BytecodeClaim {
  /** Empty bytes: there is nothing worth keeping, so nobody needs to ask again. */
  fulfil(bytes: Uint8Array): void;
  giveBack(): void;
}

/** To be written before the init frame; `bytes` is what was read. Undefined where none is kept. */
export function beginWithBytecode(
  kept: KeptBytecode | undefined,
  bytes: Buffer | undefined,
  channel: Pick<Writable, "write">,
): BytecodeOfLife | undefined {
  if (kept === undefined) return undefined;
  channel.write(encodeBytecode(bytes ?? new Uint8Array()));
  return new BytecodeOfLife(kept, bytes, channel);
}

/** One life's part in it. */
export class BytecodeOfLife {
  readonly #kept: KeptBytecode;
  readonly #beganWithSome: boolean;
  readonly #channel: Pick<Writable, "write">;
  #claim: BytecodeClaim | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** What waits for an answer to the question. */
  #postponed: (() => void) | undefined;
  #firstAnswerMs: number | undefined;
  /** Nothing is to be asked for, or not any more. */
  #isSettled: boolean;
  #isReady = false;

  constructor(kept: KeptBytecode, bytes: Buffer | undefined, channel: Pick<Writable, "write">) {
    this.#kept = kept;
    this.#beganWithSome = bytes !== undefined;
    this.#channel = channel;
    this.#isSettled = bytes !== undefined;
  }

  ready(): void {
    this.#isReady = true;
  }

  answered(): void {
    if (this.#isSettled) return;
    const now = performance.now();
    this.#firstAnswerMs ??= now;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(), handOverAfterMs(now - this.#firstAnswerMs)).unref();
  }

  /** It has something else to do. */
  busy(): void {
    clearTimeout(this.#timer);
    this.#postponed = undefined;
  }

  /** Nothing in it is to run any more: `freeze` is called now, or as soon as it has handed over what it was asked for. */
  rest(freeze: () => void): void {
    this.busy();
    if (this.#claim === undefined) return freeze();
    this.#postponed = freeze;
    this.#timer = setTimeout(() => this.#giveUp(), HAND_OVER_MS).unref();
  }

  /** Another may try it. */
  #giveUp(): void {
    this.#claim?.giveBack();
    this.#claim = undefined;
    this.#restNow();
  }

  #restNow(): void {
    const freeze = this.#postponed;
    this.busy();
    freeze?.();
  }

  /** What wasn't asked for is dropped. */
  heard(bytes: Uint8Array): void {
    this.#claim?.fulfil(bytes);
    this.#claim = undefined;
    this.#restNow();
  }

  over({ crashed }: { readonly crashed: boolean }): void {
    this.busy();
    this.#isSettled = true;
    this.#claim?.giveBack();
    this.#claim = undefined;
    if (crashed && !this.#isReady && this.#beganWithSome) this.#kept.failed();
  }

  #ask(): void {
    this.#isSettled = true;
    this.#claim = this.#kept.claim();
    if (this.#claim !== undefined) this.#channel.write(encodeHandOver());
  }
}
