/**
 * Makes host paths reachable for sandbox users: bubblewrap runs as the sandbox's own user, who can't walk through a
 * folder such as /root. What lies behind one is shown read-only at a second place, which everybody may walk to.
 */
import { mkdir, realpath, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { mountView, unmount } from "./private-mounts.ts";

/** Whether a user who owns nothing can walk to `path` and read it; symbolic links are followed. */
export async function isReachableByAll(path: string): Promise<boolean> {
  const real = await realpath(path);
  const folders = [dirname(real)];
  for (let folder = dirname(real); folder !== "/"; folder = dirname(folder)) folders.push(dirname(folder));
  const [own, ...theirs] = await Promise.all([real, ...folders].map((each) => stat(each)));
  return own !== undefined && (own.mode & 0o004) !== 0 && theirs.every(({ mode }) => (mode & 0o001) !== 0);
}

interface Staged {
  readonly path: Promise<string>;
  users: number;
}

/** The views in use, each mounted once however many sandboxes show it. */
export class Staging {
  readonly #folder: string;
  readonly #staged = new Map<string, Staged>();
  #made = 0;

  /** `folder` exists, is reachable by all and lies in a private mount namespace. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** A path that shows what is at `from`, until `release(from)` was called as often as this. */
  async hold(from: string): Promise<string> {
    const staged = this.#staged.get(from) ?? { path: this.#show(from), users: 0 };
    this.#staged.set(from, staged);
    staged.users += 1;
    try {
      return await staged.path;
    } catch (error) {
      this.#staged.delete(from);
      throw error;
    }
  }

  async release(from: string): Promise<void> {
    const staged = this.#staged.get(from);
    if (!staged) return;
    staged.users -= 1;
    if (staged.users > 0) return;
    this.#staged.delete(from);
    await unmount(await staged.path);
  }

  async #show(from: string): Promise<string> {
    this.#made += 1;
    const path = join(this.#folder, String(this.#made));
    if ((await stat(from)).isDirectory()) await mkdir(path);
    else await writeFile(path, "");
    await mountView(from, path);
    return path;
  }
}
