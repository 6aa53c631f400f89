/**
 * Folders that are empty inside a sandbox at first and are filled from outside while it runs.
 *
 * Each is a folder on the host below one shared mount a sandbox, of which its own view is a slave: what is mounted on the
 * host's side appears inside by itself. A mount takes its flags from what it shows at that moment, and a later change of
 * them would not reach the sandbox, so everything is shown from a read-only view.
 */
import { chmod, mkdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Mount } from "./driver.ts";
import { OwnMount } from "./own-mount.ts";
import { isShown, mountShared, mountThere, mountView, unmount } from "./private-mounts.ts";

export class LatePlaces {
  readonly #folder: string;
  readonly #viewsFolder: string;
  /** Read-only views of the folders that things to be placed lie in, by those folders. */
  readonly #shown = new Map<string, Promise<string>>();
  #made = 0;
  #views = 0;

  private constructor(folder: string) {
    this.#folder = join(folder, "places");
    this.#viewsFolder = join(folder, "views");
  }

  /** `folder` exists and lies in a private mount namespace. Rejects where mounts can't be shared. */
  static async open(folder: string): Promise<LatePlaces> {
    const places = new LatePlaces(folder);
    for (const each of [places.#folder, places.#viewsFolder]) await makeOpen(each);
    await (await places.make([])).close();
    return places;
  }

  /** Makes one sandbox's places. */
  async make(paths: readonly string[]): Promise<PlacesOfOne> {
    this.#made += 1;
    const folder = join(this.#folder, `${this.#made}`);
    const hosts = new Map(paths.map((path, index) => [path, join(folder, `${index}`)]));
    for (const each of [folder, ...hosts.values()]) await makeOpen(each);
    await mountShared(folder);
    return new PlacesOfOne(folder, hosts, (from) => this.#shownAt(from));
  }

  /** Ends the views; the sandboxes' places are closed already. */
  async close(): Promise<void> {
    for (const shown of this.#shown.values()) await shown.then(unmount, () => {});
  }

  /** Many versions lie in one folder, so a view of the folder serves them all, until somebody removes that. */
  async #shownAt(from: string): Promise<string> {
    const folder = dirname(from);
    const known = this.#shown.get(folder);
    const view = await known;
    if (view !== undefined && isShown(folder, view)) return join(view, basename(from));
    if (this.#shown.get(folder) === known) {
      const shown = this.#show(folder);
      this.#shown.set(folder, shown);
      shown.catch(() => this.#shown.delete(folder));
      if (view !== undefined) await unmount(view);
    }
    return this.#shownAt(from);
  }

  async #show(folder: string): Promise<string> {
    this.#views += 1;
    const view = join(this.#viewsFolder, `${this.#views}`);
    await makeOpen(view);
    await mountView(folder, view);
    return view;
  }
}

/** Whatever the worker's own mask is, a sandbox's user gets in. */
async function makeOpen(folder: string): Promise<void> {
  await mkdir(folder);
  await chmod(folder, 0o755);
}

/** The places of one sandbox. */
export class PlacesOfOne {
  /** To be mounted when the sandbox is made. */
  readonly mounts: readonly Mount[];
  /** What they lie in. Once it is hidden, nothing more can be placed in the life that runs. */
  readonly own: OwnMount;
  readonly #empty: Map<string, string>;
  readonly #shownAt: (from: string) => Promise<string>;

  constructor(folder: string, hosts: ReadonlyMap<string, string>, shownAt: (from: string) => Promise<string>) {
    this.own = new OwnMount(folder);
    this.#empty = new Map(hosts);
    this.#shownAt = shownAt;
    this.mounts = [...hosts].map(([to, from]) => ({ from, to }));
  }

  /** Fills the place `to`. Rejects when there is none of that name or it is filled already. */
  async place({ from, to }: Mount): Promise<void> {
    const host = this.#empty.get(to);
    if (host === undefined) throw new Error(`${to} is no place that can be filled now`);
    this.#empty.delete(to);
    await mountThere(await this.#shownAt(from), host);
  }

  async close(): Promise<void> {
    await this.own.end();
  }
}
