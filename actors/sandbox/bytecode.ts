/**
 * Bytecode of a function version: one sandbox hands it over at the end of its init, and later ones of the very same version
 * begin with it. To the worker it is nothing but bytes.
 *
 * What is handed over was made by code of a stranger. It is never given to anybody else: which lives share it is for the
 * keeper to say. And it is taken only from a sandbox that has not seen an event: whoever takes one over by what he sends it
 * reaches no other sandbox that way.
 */
import type { Writable } from "node:stream";
import { encode } from "./frames.ts";

export const encodeBytecode = (kept: Uint8Array): Buffer => encode(0x04, kept);

export const encodeHandOver = (): Buffer => encode(0x05, new Uint8Array());

/** What is kept for one function version on one build of its runtime. Nothing here rejects or throws. */
export interface KeptBytecode {
  /** Undefined where there is none. */
  read(): Promise<Buffer | undefined>;
  /** To make it: undefined where there is some, where somebody else is at it, or where it isn't wanted. */
  claim(): BytecodeClaim | undefined;
  /** A life that began with it, or was to make it, failed before it was ready: what there is goes. */
  failed(): void;
}

/** Given back or fulfilled once; whichever is first counts. */
export interface BytecodeClaim {
  /** Empty bytes: there is nothing worth keeping, so nobody needs to ask again. */
  fulfil(bytes: Uint8Array): void;
  giveBack(): void;
}

/**
 * To be written before the init frame; `bytes` is what was read. `mayMake`: the life is the first in its place, so that nobody's
 * event has left anything there. Undefined where none is kept.
 */
export function beginWithBytecode(
  kept: KeptBytecode | undefined,
  bytes: Buffer | undefined,
  channel: Pick<Writable, "write">,
  mayMake: boolean,
): BytecodeOfLife | undefined {
  if (kept === undefined) return undefined;
  if (bytes !== undefined) channel.write(encodeBytecode(bytes));
  const claim = bytes === undefined && mayMake ? kept.claim() : undefined;
  if (claim !== undefined) channel.write(encodeHandOver());
  return new BytecodeOfLife(kept, claim, bytes !== undefined);
}

/** One life's part in it, which is over when it is ready: an event may come then. */
export class BytecodeOfLife {
  readonly #kept: KeptBytecode;
  readonly #beganWithSome: boolean;
  #claim: BytecodeClaim | undefined;
  /** It is ready, or has ended. */
  #isOver = false;

  constructor(kept: KeptBytecode, claim: BytecodeClaim | undefined, beganWithSome: boolean) {
    this.#kept = kept;
    this.#claim = claim;
    this.#beganWithSome = beganWithSome;
  }

  /** What wasn't asked for, and what comes late, is dropped. */
  heard(bytes: Uint8Array): void {
    this.#claim?.fulfil(bytes);
    this.#claim = undefined;
  }

  ready(): void {
    this.#isOver = true;
    this.#claim?.giveBack();
    this.#claim = undefined;
  }

  /** `failed`: it crashed, or had to be stopped because it took too long. */
  over({ failed }: { readonly failed: boolean }): void {
    const isOwed = this.#claim !== undefined;
    this.#claim?.giveBack();
    this.#claim = undefined;
    if (failed && !this.#isOver && (this.#beganWithSome || isOwed)) this.#kept.failed();
    this.#isOver = true;
  }
}
