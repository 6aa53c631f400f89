/** Groups that a program makes by itself, beside those a worker makes for what the program starts. */
import { join, relative } from "node:path";
import type { Cgroups } from "./cgroup.ts";
import { removeGroup } from "./files.ts";
import type { Hierarchy } from "./find.ts";

export interface ProgramGroups {
  /** As the program is to name it, from the top of each hierarchy. */
  readonly path: string;
  /** What that is on this host. */
  readonly folders: readonly string[];
  /** Removes the groups called `name` below it, or with no name all of it, which must be empty by then. */
  remove(name?: string): Promise<void>;
}

/**
 * Of the second generation, in the `instance`'s own group, so that they lie where a unit's limits hold, and end with it.
 * Of the first, where each hierarchy has its own place, at the tops: one path names them all.
 */
export function programGroupsIn(
  found: readonly Pick<Hierarchy, "version" | "top">[],
  instance: string,
  { backEnd, folders: own }: Pick<Cgroups, "backEnd" | "folders">,
): ProgramGroups {
  const [folder = ""] = own;
  const unified = found.find(({ version }) => version === 2)?.top ?? "";
  const path = backEnd === "v2" ? `/${relative(unified, folder)}` : `/${instance}`;
  const folders = found.map(({ top }) => join(top, path));
  return {
    path,
    folders,
    async remove(name = "") {
      await Promise.all(folders.map((each) => removeGroup(join(each, name))));
    },
  };
}
