/**
 * The folder a runtime takes for the root of a sandbox: empty places for everything that will be mounted, and the links of
 * the host's top level. Read-only inside, so that sandboxes with the same places share one.
 */
import { chmod, mkdir, stat, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type HostFacts, OWN_FOLDERS } from "../host-facts.ts";

interface Place {
  readonly source: string;
  readonly destination: string;
  readonly type: string;
}

export class RootFolders {
  readonly #folder: string;
  readonly #host: HostFacts;
  readonly #made = new Map<string, Promise<string>>();

  /** `folder` exists and everybody may walk through it. */
  constructor(folder: string, host: HostFacts) {
    this.#folder = folder;
    this.#host = host;
  }

  /** The path of a root that has all of `places`. Rejects when something to be bound isn't there. */
  async for(places: readonly Place[]): Promise<string> {
    const kinds = await Promise.all(
      places.map(async ({ source, destination, type }) => ({
        path: destination,
        isFolder: type !== "bind" || (await stat(source)).isDirectory(),
      })),
    );
    const key = kinds.map(({ path, isFolder }) => `${path}${isFolder ? "/" : ""}`).join("\n");
    const root = this.#made.get(key) ?? this.#make(kinds);
    this.#made.set(key, root);
    root.catch(() => this.#made.delete(key));
    return root;
  }

  async #make(places: readonly { path: string; isFolder: boolean }[]): Promise<string> {
    const root = join(this.#folder, `root-${this.#made.size}`);
    await mkdir(root);
    for (const path of OWN_FOLDERS) await makeFolder(root, path);
    for (const [name, target] of this.#host.topLevel) if (target !== null) await symlink(target, join(root, name));
    await symlink("/tmp", join(root, "var/tmp"));
    for (const { path, isFolder } of places) {
      if (isFolder) await makeFolder(root, path);
      else {
        await makeFolder(root, dirname(path));
        await writeFile(join(root, path), "");
      }
    }
    await chmod(root, 0o755);
    // A runtime may take the mode of what it mounts over.
    await chmod(join(root, "tmp"), 0o1777);
    return root;
  }
}

/** Makes `path` below `root`, open to all whatever the worker's mask is. */
async function makeFolder(root: string, path: string): Promise<void> {
  let at = root;
  for (const name of path.split("/").filter(Boolean)) {
    at = join(at, name);
    await mkdir(at, { recursive: true });
    await chmod(at, 0o755);
  }
}
