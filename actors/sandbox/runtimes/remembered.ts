/**
 * Runtimes as a worker looks them up for every sandbox: what was resolved once is remembered, because finding an
 * interpreter reads a dozen files, and a start from a stem cell has no time for that.
 */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { listRuntimes, type ResolvedRuntime, type RuntimeOptions, resolveRuntime } from "./catalogue.ts";

type Asked = Pick<RuntimeOptions, "memoryMiB" | "host">;

export class RememberedRuntimes {
  readonly #places: Pick<RuntimeOptions, "home" | "compiled">;
  readonly #known = new Map<string, ResolvedRuntime>();
  /** Counts `forget`: what was being resolved meanwhile isn't remembered. */
  #turn = 0;

  constructor(home: string) {
    this.#places = { home, compiled: join(home, "compiled") };
  }

  /** The names of those that this host can boot. What can be compiled beforehand has been, once this resolves. */
  async list(): Promise<readonly string[]> {
    const all = await listRuntimes(this.#places);
    return all.flatMap(({ runtime, version }) => (version === null ? [] : [runtime]));
  }

  /** As `resolveRuntime`, and throws as that does; what isn't there any more is resolved again. */
  async resolve(runtime: string, asked: Asked): Promise<ResolvedRuntime> {
    const key = JSON.stringify([runtime, asked.memoryMiB, asked.host?.isWrapped]);
    const known = this.#known.get(key);
    if (known !== undefined && isThere(known)) return known;
    const turn = this.#turn;
    const resolved = await resolveRuntime(runtime, { ...this.#places, ...asked });
    if (turn === this.#turn) this.#known.set(key, resolved);
    return resolved;
  }

  /** To be called when a runtime was installed or removed. */
  forget(): void {
    this.#turn += 1;
    this.#known.clear();
  }
}

/**
 * Asks, now and later, whether what is mounted of it is the same as now, and hasn't been removed, or installed anew: a
 * sandbox shows what it was made with, and can't begin another life with what is gone.
 */
export function stillThere({ mounts }: ResolvedRuntime): () => boolean {
  const files = () => mounts.map(({ from }) => statSync(from, { throwIfNoEntry: false }));
  const made = files();
  return () =>
    files().every((file, at) => file !== undefined && file.ino === made[at]?.ino && file.dev === made[at].dev);
}

/**
 * Whether everything of it is where it was: what is mounted, and a program of the system's own. Some microseconds in all,
 * where asking by way of another thread takes a start from a stem cell a tenth of its time.
 */
function isThere({ command: [program = ""], mounts }: ResolvedRuntime): boolean {
  const isMounted = mounts.some(({ to }) => program === to || program.startsWith(`${to}/`));
  return [...mounts.map(({ from }) => from), ...(isMounted ? [] : [program])].every((path) => existsSync(path));
}
