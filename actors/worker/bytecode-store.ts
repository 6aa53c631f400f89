/**
 * A worker's store of bytecode, a file for each function version. Its content is opaque, and made by code of strangers:
 * nothing here looks into it, and it is given back under the name it was stored under only.
 *
 * Promises
 *   what is read is what was stored, whole: a file that was damaged since, or never finished, counts as none
 *   of one name, one is made at a time, however many could
 *   what a life crashed with is removed, and after the second time not made again while this process runs
 *   it outlives the process, and keeps to `maxBytes`, least recently used first
 *   nothing here rejects: without bytecode a function only begins more slowly
 */
import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { lstat, mkdir, open, readdir, rename, rm, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { MAX_PAYLOAD_BYTES } from "../../subjects/invoke.ts";
import { Background } from "./background.ts";

export interface BytecodeStoreOptions {
  /** Absolute; made if missing. It belongs to this one store: whatever else lies in it is removed. */
  readonly folder: string;
  /** Of disk. */
  readonly maxBytes: number;
  /** Monotonic. */
  readonly nowMs: () => number;
  /** Something could not be read, written or removed. */
  readonly failed: (error: unknown) => void;
}

/** Of one name. */
export interface Bytecode {
  read(): Promise<Buffer | undefined>;
  claim(): Claim | undefined;
  failed(): void;
}

interface Claim {
  fulfil(bytes: Uint8Array): void;
  giveBack(): void;
}

interface Kept {
  readonly bytes: number;
  usedAt: number;
}

const NAME = /^[0-9a-f]{64}$/;
const CHECKSUM_BYTES = 4;
/** Whoever was to make one and is silent for so long keeps nobody else from it: it may be frozen. */
const CLAIM_MS = 10_000;
const FAILURES = 2;
/** Of names without bytecode; what is forgotten is found out again. */
const REMEMBERED = 10_000;

export class BytecodeStore {
  readonly #options: BytecodeStoreOptions;
  readonly #kept = new Map<string, Kept>();
  /** When somebody began to make it. */
  readonly #claimed = new Map<string, number>();
  readonly #failures = new Map<string, number>();
  /** There is nothing worth keeping. */
  readonly #empty = new Set<string>();
  readonly #background: Background;
  #opened: Promise<void> | undefined;

  constructor(options: BytecodeStoreOptions) {
    this.#options = options;
    this.#background = new Background(options.failed);
  }

  /** `name`: 64 hexadecimal digits. */
  of(name: string): Bytecode {
    if (!NAME.test(name)) throw new Error(`${name} is no name of bytecode`);
    return {
      read: () => this.#read(name).catch((error: unknown) => this.#lost(name, error)),
      claim: () => this.#claim(name),
      failed: () => this.#distrust(name),
    };
  }

  /** Resolves when what is being written or removed is. */
  async close(): Promise<void> {
    await this.#background.settled();
  }

  async #read(name: string): Promise<Buffer | undefined> {
    await this.#open();
    const kept = this.#kept.get(name);
    if (kept === undefined) return undefined;
    kept.usedAt = Date.now();
    const path = this.#path(name);
    await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const facts = await file.stat();
    if (!facts.isFile() || facts.size !== kept.bytes) throw new Error(`${path} isn't what was stored`);
    const whole = await file.readFile();
    const bytes = whole.subarray(CHECKSUM_BYTES);
    if (whole.length !== kept.bytes || whole.readUInt32BE(0) !== crc32(bytes)) throw new Error(`${path} is damaged`);
    // The order of use outlives the process as the files' times.
    await file.utimes(kept.usedAt / 1000, kept.usedAt / 1000);
    return bytes;
  }

  #claim(name: string): Claim | undefined {
    const now = this.#options.nowMs();
    const isAtIt = now - (this.#claimed.get(name) ?? Number.NEGATIVE_INFINITY) < CLAIM_MS;
    const isUnwanted = this.#empty.has(name) || (this.#failures.get(name) ?? 0) >= FAILURES;
    if (this.#kept.has(name) || isAtIt || isUnwanted) return undefined;
    this.#claimed.set(name, now);
    let isOver = false;
    const once = (act: () => void) => {
      if (!isOver) act();
      isOver = true;
    };
    const release = () => {
      if (this.#claimed.get(name) === now) this.#claimed.delete(name);
    };
    return {
      fulfil: (bytes) =>
        once(() => {
          if (this.#empty.size >= REMEMBERED) this.#empty.clear();
          if (bytes.length === 0) this.#empty.add(name);
          if (bytes.length === 0 || bytes.length > MAX_PAYLOAD_BYTES) return release();
          this.#background.add(this.#write(name, bytes).finally(release));
        }),
      giveBack: () => once(release),
    };
  }

  /** Under its name only once it is whole. */
  async #write(name: string, bytes: Uint8Array): Promise<void> {
    await this.#open();
    if (this.#kept.has(name)) return;
    const draft = join(this.#options.folder, `.draft-${randomUUID()}`);
    const checksum = Buffer.alloc(CHECKSUM_BYTES);
    checksum.writeUInt32BE(crc32(bytes), 0);
    const whole = Buffer.concat([checksum, bytes]);
    try {
      // Somebody may have removed it.
      await mkdir(this.#options.folder, { recursive: true, mode: 0o700 });
      await writeFile(draft, whole, { flag: "wx", mode: 0o600 });
      await rename(draft, this.#path(name));
    } catch (error) {
      await rm(draft, { force: true });
      throw error;
    }
    this.#kept.set(name, { bytes: whole.length, usedAt: Date.now() });
    await this.#evict();
  }

  #distrust(name: string): void {
    if (this.#failures.size >= REMEMBERED) this.#failures.clear();
    this.#failures.set(name, (this.#failures.get(name) ?? 0) + 1);
    this.#remove(name);
  }

  #lost(name: string, error: unknown): undefined {
    this.#options.failed(error);
    this.#remove(name);
  }

  #remove(name: string): void {
    if (this.#kept.delete(name)) this.#background.add(rm(this.#path(name), { force: true, recursive: true }));
  }

  async #evict(): Promise<void> {
    const oldestFirst = [...this.#kept].sort(([, a], [, b]) => a.usedAt - b.usedAt);
    let excess = oldestFirst.reduce((sum, [, { bytes }]) => sum + bytes, 0) - this.#options.maxBytes;
    for (const [name, { bytes }] of oldestFirst) {
      if (excess <= 0) return;
      excess -= bytes;
      this.#kept.delete(name);
      await unlink(this.#path(name));
    }
  }

  #open(): Promise<void> {
    this.#opened ??= this.#readIn().catch((error: unknown) => {
      this.#opened = undefined;
      throw error;
    });
    return this.#opened;
  }

  async #readIn(): Promise<void> {
    const { folder } = this.#options;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      const { size, mtimeMs } = await lstat(path);
      if (entry.isFile() && NAME.test(entry.name) && size <= CHECKSUM_BYTES + MAX_PAYLOAD_BYTES) {
        this.#kept.set(entry.name, { bytes: size, usedAt: mtimeMs });
      } else {
        await rm(path, { recursive: true, force: true });
      }
    }
  }

  #path(name: string): string {
    return join(this.#options.folder, name);
  }
}
