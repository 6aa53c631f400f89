/** Finds out which groups this process may make, and opens them. */
import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type Cgroups, noCgroups } from "./cgroup.ts";
import { isDelegated, type Unit, unitAt } from "./unit.ts";
import { openV1, type V1Places } from "./v1.ts";
import { openV2, WORKERS } from "./v2.ts";

/** A mounted hierarchy and where this process stands in it. */
export interface Hierarchy {
  readonly version: 1 | 2;
  /** v1 only. */
  readonly controllers: readonly string[];
  /** The mount's own folder. */
  readonly top: string;
  /** The folder of this process's group. */
  readonly own: string;
}

/** Reads `/proc/self/mountinfo` and `/proc/self/cgroup` texts (proc(5), cgroups(7)). */
export function hierarchies(mountinfo: string, membership: string): Hierarchy[] {
  const paths = membership
    .trim()
    .split("\n")
    .map((line) => {
      const [, controllers = "", ...path] = line.split(":");
      return { controllers: controllers.split(",").filter(Boolean), path: path.join(":") };
    });
  return mountinfo.split("\n").flatMap((line): Hierarchy[] => {
    const [fields = [], tail = []] = line.split(" - ").map((half) => half.split(" "));
    const [, , , root = "/", top = ""] = fields;
    const [type, , options = ""] = tail;
    if (type !== "cgroup" && type !== "cgroup2") return [];
    const version = type === "cgroup" ? 1 : 2;
    const flags = options.split(",");
    const match = paths.find(({ controllers }) =>
      version === 2 ? controllers.length === 0 : controllers.some((each) => flags.includes(each)),
    );
    if (!match) return [];
    const inside = root === "/" ? match.path : match.path.startsWith(root) ? match.path.slice(root.length) : "/";
    return [{ version, controllers: version === 1 ? match.controllers : [], top, own: join(top, inside) }];
  });
}

/** Opens groups for `instance` in the best hierarchy there is; `noCgroups` when none may be written. */
export async function openCgroups(instance: string, mountinfo: string, membership: string): Promise<Cgroups> {
  const found = hierarchies(mountinfo, membership);
  const places: { -readonly [name in keyof V1Places]: string } = {};
  for (const name of ["memory", "pids", "cpu"] as const) {
    const hierarchy = found.find((each) => each.version === 1 && each.controllers.includes(name));
    if (hierarchy && (await mayWrite(hierarchy.own))) places[name] = hierarchy.own;
  }
  const unified = found.find((each) => each.version === 2);
  if (Object.keys(places).length > 0) {
    if (unified && (await mayWrite(unified.own))) places.unified = unified.own;
    const freezer = found.find((each) => each.version === 1 && each.controllers.includes("freezer"));
    if (!places.unified && freezer && (await mayWrite(freezer.own))) places.freezer = freezer.own;
    return openV1(places, instance).catch(() => noCgroups);
  }
  for (const place of unified ? await v2Places(unified) : []) {
    const opened = await openV2(place, instance).catch(() => undefined);
    if (opened && Object.values(opened.limits).some(Boolean)) return opened;
    await opened?.close();
  }
  return noCgroups;
}

/** What is known of the v2 hierarchy and of our place in it. */
export interface V2Standing {
  readonly top: string;
  readonly own: string;
  /** The host's own top, not some group of the host's that a container takes for it. */
  readonly isTrueTop: boolean;
  readonly unit?: Unit | undefined;
  /** The unit's group was given to it, to do with as it likes. */
  readonly isDelegated: boolean;
}

/**
 * Where v2 groups might go, best first. A group that was given to our unit: its limits then hold for the sandboxes too,
 * and they end with it. The host's true top, which alone may have processes beside groups with controllers. Last our
 * unit's or our own group, which may be ours without anybody's word for it: an ordinary user's, a container's.
 */
export function v2Candidates({ top, own, isTrueTop, unit, isDelegated }: V2Standing): string[] {
  const besideWorkers = basename(own) === WORKERS ? dirname(own) : own;
  const ours = [...(unit ? [unit.group] : []), besideWorkers];
  const host = isTrueTop ? [top] : [];
  return [...new Set(isDelegated ? [...ours, ...host] : [...host, ...ours])];
}

async function v2Places({ top, own }: Hierarchy): Promise<string[]> {
  // The true top alone has no type.
  const isTrueTop = !(await exists(join(top, "cgroup.type")));
  const unit = unitAt(top, own);
  // Where the top isn't ours, there is nothing to choose.
  const hasChoice = unit !== undefined && isTrueTop && (await mayWrite(top));
  const candidates = v2Candidates({ top, own, isTrueTop, unit, isDelegated: hasChoice && (await isDelegated(unit)) });
  const writable = await Promise.all(candidates.map(mayWrite));
  return candidates.filter((_, index) => writable[index]);
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

const mayWrite = (path: string): Promise<boolean> =>
  access(path, constants.W_OK).then(
    () => true,
    () => false,
  );
