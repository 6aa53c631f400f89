/**
 * Makes host paths reachable for sandbox users: bubblewrap runs as the sandbox's own user, who can't walk through a
 * folder such as /root. What lies behind one is shown read-only at a second place, which everybody may walk to.
 */
import { realpathSync, statSync } from "node:fs";
import { mkdir, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isShown, mountView, unmount } from "./private-mounts.ts";

/**
 * Whether a user who owns nothing can walk to `path` and read it; symbolic links are followed. Asked for each mount of a
 * start: some microseconds in all, where the same by way of other threads takes a millisecond.
 */
export function isReachableByAll(path: string): boolean {
  const real = realpathSync(path);
  if ((statSync(real).mode & 0o004) === 0) return false;
  for (let folder = dirname(real); ; folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0) return false;
    if (folder === "/") return true;
  }
}

export interface View {
  /** Shows what is at the path it was made of. */
  readonly path: string;
  /** To be called once. */
  release(): Promise<void>;
}

interface Staged {
  readonly path: Promise<string>;
  users: number;
  /** Whether that is still what lies at the path it was made of, which may have been removed and made anew since. */
  isCurrent: () => boolean;
}

/** Views that nobody uses and that are kept all the same: making one takes two programs, and a start has no time for them. */
const KEPT = 32;

/** The views of one instance, each mounted once however many sandboxes show it. */
export class Staging {
  readonly #folder: string;
  /** Least recently used first. */
  readonly #staged = new Map<string, Staged>();
  #made = 0;

  /** `folder` exists, is reachable by all and lies in a private mount namespace. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  async hold(from: string): Promise<View> {
    const kept = this.#staged.get(from);
    const staged = kept?.isCurrent() ? kept : this.#stage(from);
    this.#staged.set(from, staged);
    staged.users += 1;
    try {
      if (kept !== undefined && kept !== staged && kept.users === 0) await kept.path.then(unmount);
      return { path: await staged.path, release: () => this.#release(from, staged) };
    } catch (error) {
      if (this.#staged.get(from) === staged) this.#staged.delete(from);
      throw error;
    }
  }

  async #release(from: string, staged: Staged): Promise<void> {
    staged.users -= 1;
    if (staged.users > 0) return;
    // Another has taken its place.
    if (this.#staged.get(from) !== staged) return unmount(await staged.path);
    this.#staged.delete(from);
    this.#staged.set(from, staged);
    const unused = [...this.#staged].filter(([, { users }]) => users === 0);
    for (const [each, { path }] of unused.slice(0, Math.max(0, unused.length - KEPT))) {
      this.#staged.delete(each);
      await unmount(await path);
    }
  }

  #stage(from: string): Staged {
    const staged: Staged = { path: this.#show(from), users: 0, isCurrent: () => true };
    staged.path.then(
      (path) => {
        staged.isCurrent = () => isShown(from, path);
      },
      () => {},
    );
    return staged;
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
