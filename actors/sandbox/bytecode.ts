/**
 * Bytecode of a function version: one sandbox hands it over when it has nothing else to do, and later ones of the very same
 * version begin with it. To the worker it is nothing but bytes.
 *
 * What is handed over was made by code of a stranger. It is never given to anybody else: which lives share it is for the
 * keeper to say.
 */
import type { Writable } from "node:stream";
import { encodeBytecode, encodeHandOver } from "./frames.ts";
import { handOverAfterMs } from "./policy.ts";

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

  /** It has something else to do, or won't do anything for a while. */
  busy(): void {
    clearTimeout(this.#timer);
  }

  /** What wasn't asked for is dropped. */
  heard(bytes: Uint8Array): void {
    this.#claim?.fulfil(bytes);
  }

  over({ crashed }: { readonly crashed: boolean }): void {
    clearTimeout(this.#timer);
    this.#isSettled = true;
    this.#claim?.giveBack();
    if (crashed && !this.#isReady && this.#beganWithSome) this.#kept.failed();
  }

  #ask(): void {
    this.#isSettled = true;
    this.#claim = this.#kept.claim();
    if (this.#claim !== undefined) this.#channel.write(encodeHandOver());
  }
}
