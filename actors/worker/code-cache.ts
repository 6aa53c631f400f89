/**
 * A worker's copy of the code packages it runs: fetched once, verified, unpacked, mounted read-only by many sandboxes.
 * Layers that are used together lie in it once more, laid over each other in their order: a set.
 *
 * Promises
 *   a folder it hands out holds the whole package of that SHA-256, or all of that set, checked, with nothing outside it
 *   however many ask at once, a package is fetched and unpacked once, and a set made once
 *   it outlives the process; what was unpacked before the machine last booted is not trusted, because nothing here waits
 *   for the disk
 *   it keeps to `maxBytes`, least recently used first, but never removes what is in use
 *   what somebody else has removed is fetched and unpacked again
 */
import { createHash, randomUUID } from "node:crypto";
import { existsSync, renameSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import type { CodeStore } from "../bus/storage.ts";
import { Background } from "./background.ts";
import { overlay } from "./overlay.ts";
import { CodeCorrupt, CodeMissing, CodeUnsafe } from "./package-errors.ts";
import { UNPACK_LIMITS, type UnpackLimits, unpack } from "./unpack.ts";

export { CodeCorrupt, CodeMissing, CodeUnsafe } from "./package-errors.ts";

export interface CodeCacheOptions {
  /** Absolute; made if missing. It belongs to this one cache: whatever else lies in it is removed. */
  readonly folder: string;
  readonly store: Pick<CodeStore, "get">;
  /** Of disk, each file counted as at least one block, and in each set again. Exceeded only by what is in use. */
  readonly maxBytes: number;
  readonly limits?: UnpackLimits;
}

/** A package or a set that stays where it is until it is disposed of. */
export interface CodeInUse extends Disposable {
  /** Absolute path of what was unpacked. */
  readonly folder: string;
  /** Whether it is still there, and not removed and made anew. */
  isThere(): boolean;
}

/** Fills an empty folder. */
type Fill = (content: string) => Promise<void>;

interface Kept {
  readonly folder: string;
  readonly bytes: number;
  usedAt: number;
  users: number;
}

const SHA256 = /^[0-9a-f]{64}$/;
const SET = "set-";
const NAME = /^(set-)?[0-9a-f]{64}$/;
const BLOCK_BYTES = 4096;
const DRAFT = ".draft-";

export class CodeCache {
  readonly #options: CodeCacheOptions;
  readonly #kept = new Map<string, Kept>();
  readonly #coming = new Map<string, Promise<Kept>>();
  /** The cache does without what fails. */
  readonly #background = new Background(() => {});
  #opened: Promise<string> | undefined;

  constructor(options: CodeCacheOptions) {
    this.#options = options;
  }

  /**
   * Absolute path of the unpacked package; it may go when others need its room, so what is to be mounted is `use`d.
   * Throws `CodeMissing`, `CodeCorrupt` or `CodeUnsafe`.
   */
  async folderOf(sha256: string): Promise<string> {
    using code = await this.use(sha256);
    return code.folder;
  }

  /** The package, kept until disposed of; disposing twice counts once. Throws as `folderOf`. */
  use(sha256: string): Promise<CodeInUse> {
    return this.#use(sha256, (content) => this.#fetch(sha256, content));
  }

  /** Layers laid over each other, the first one lowest; one at least. Kept and throws as `use`. */
  useLayers(sha256s: readonly string[]): Promise<CodeInUse> {
    const [first = "", ...others] = sha256s;
    if (others.length === 0) return this.use(first);
    const name = SET + createHash("sha256").update(sha256s.join("\n")).digest("hex");
    return this.#use(name, (content) => this.#layOver(sha256s, content));
  }

  async #use(name: string, fill: Fill): Promise<CodeInUse> {
    const root = await this.#open();
    const used = await this.#pinned(name, root, fill);
    this.#evict(root);
    used.usedAt = Date.now();
    // The order of use outlives the process as the folders' times; nobody's start waits for that.
    this.#background.add(utimes(used.folder, used.usedAt / 1000, used.usedAt / 1000));
    let released = false;
    return {
      folder: used.folder,
      isThere: () => this.#isThere(name, used),
      [Symbol.dispose]() {
        if (!released) used.users -= 1;
        released = true;
      },
    };
  }

  /** Resolves when what was evicted is off the disk, and the order of use on it. */
  async close(): Promise<void> {
    await this.#background.settled();
  }

  async #pinned(name: string, root: string, fill: Fill): Promise<Kept> {
    for (;;) {
      const known = this.#kept.get(name);
      const kept = known && this.#isThere(name, known) ? known : await this.#made(name, root, fill);
      // Somebody else's eviction may have come between its arrival and this turn.
      if (this.#kept.get(name) !== kept) continue;
      kept.users += 1;
      return kept;
    }
  }

  #isThere(name: string, kept: Kept): boolean {
    return this.#kept.get(name) === kept && existsSync(kept.folder);
  }

  #made(name: string, root: string, fill: Fill): Promise<Kept> {
    const coming = this.#coming.get(name) ?? this.#make(name, root, fill).finally(() => this.#coming.delete(name));
    this.#coming.set(name, coming);
    return coming;
  }

  /** Under its name only once it is whole: what a crash leaves is a draft. */
  async #make(name: string, root: string, fill: Fill): Promise<Kept> {
    if (!existsSync(root)) await mkdir(root, { recursive: true, mode: 0o700 });
    const draft = await mkdtemp(join(root, DRAFT));
    try {
      const content = join(draft, "content");
      await mkdir(content);
      await chmod(content, 0o755);
      await fill(content);
      const kept = { folder: join(root, name), bytes: await diskBytes(content), usedAt: Date.now(), users: 0 };
      await rename(content, kept.folder);
      this.#kept.set(name, kept);
      return kept;
    } finally {
      await rm(draft, { recursive: true, force: true });
    }
  }

  async #fetch(sha256: string, content: string): Promise<void> {
    try {
      const zip = SHA256.test(sha256) ? await this.#options.store.get(sha256) : undefined;
      if (zip === undefined) throw new CodeMissing("nobody has stored it");
      if ((await digest(zip)) !== sha256) throw new CodeCorrupt("what is stored under that name has another SHA-256");
      await unpack(zip, content, this.#options.limits ?? UNPACK_LIMITS);
    } catch (error) {
      throw about(sha256, error);
    }
  }

  async #layOver(sha256s: readonly string[], content: string): Promise<void> {
    using layers = new DisposableStack();
    const all = await Promise.allSettled(sha256s.map(async (each) => layers.use(await this.use(each)).folder));
    for (const layer of all) {
      if (layer.status === "rejected") throw layer.reason;
      await overlay(layer.value, content);
    }
  }

  #evict(root: string): void {
    const idle = [...this.#kept].filter(([, { users }]) => users === 0).sort(([, a], [, b]) => a.usedAt - b.usedAt);
    let excess = [...this.#kept.values()].reduce((sum, { bytes }) => sum + bytes, 0) - this.#options.maxBytes;
    for (const [sha256, { folder, bytes }] of idle) {
      if (excess <= 0) return;
      excess -= bytes;
      this.#kept.delete(sha256);
      // In the same turn, so that whoever wants it again finds the name free; and at once, so that nobody finds half.
      const gone = join(root, `${DRAFT}${randomUUID()}`);
      try {
        renameSync(folder, gone);
      } catch {
        // Somebody else has removed it.
        continue;
      }
      // What can't be removed now is when the cache is next opened.
      this.#background.add(rm(gone, { recursive: true, force: true }));
    }
  }

  /** The folder of this boot, with what is still good in it. */
  #open(): Promise<string> {
    this.#opened ??= this.#readIn().catch((error: unknown) => {
      this.#opened = undefined;
      throw error;
    });
    return this.#opened;
  }

  async #readIn(): Promise<string> {
    const boot = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
    const root = join(this.#options.folder, boot);
    await mkdir(root, { recursive: true, mode: 0o700 });
    for (const name of await readdir(this.#options.folder)) {
      if (name !== boot) await rm(join(this.#options.folder, name), { recursive: true, force: true });
    }
    for (const name of await readdir(root)) {
      const folder = join(root, name);
      if (NAME.test(name)) {
        const { mtimeMs } = await stat(folder);
        this.#kept.set(name, { folder, bytes: await diskBytes(folder), usedAt: mtimeMs, users: 0 });
      } else {
        await rm(folder, { recursive: true, force: true });
      }
    }
    return root;
  }
}

async function digest(bytes: Uint8Array): Promise<string> {
  // Off this thread: the largest package takes longer than a heartbeat may be late.
  const hash = await crypto.subtle.digest("SHA-256", Uint8Array.from(bytes));
  return Buffer.from(hash).toString("hex");
}

/** What a folder takes on the disk. Links count as a block each, and aren't followed. */
async function diskBytes(folder: string): Promise<number> {
  let bytes = BLOCK_BYTES;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const size = entry.isFile() ? (await stat(join(entry.parentPath, entry.name))).size : 0;
    bytes += Math.max(1, Math.ceil(size / BLOCK_BYTES)) * BLOCK_BYTES;
  }
  return bytes;
}

function about(sha256: string, error: unknown): unknown {
  for (const Known of [CodeMissing, CodeCorrupt, CodeUnsafe]) {
    if (error instanceof Known) return new Known(`code package ${sha256}: ${error.message}`, { cause: error });
  }
  return error;
}
