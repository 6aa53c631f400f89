/**
 * What one driver instance holds from its first use until it closes: its folder, groups, users, ready /tmp's, and the
 * watchdog that clears all of that away should the worker die.
 */
import { readFileSync } from "node:fs";
import { chmod, mkdir, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Cgroups } from "./cgroups/cgroup.ts";
import { delegationRemedy } from "./cgroups/delegation.ts";
import { hierarchies, openCgroups } from "./cgroups/find.ts";
import { type ProgramGroups, programGroupsIn } from "./cgroups/program-groups.ts";
import { closeInheritable } from "./descriptors.ts";
import { IsolationUnavailable } from "./driver.ts";
import type { EgressOptions } from "./egress/network.ts";
import { type HostFacts, lookAround, thisArchitecture } from "./host-facts.ts";
import { newInstanceName } from "./instance.ts";
import { LatePlaces } from "./late-places.ts";
import { hasPrivateMounts } from "./private-mounts.ts";
import type { Architecture } from "./seccomp/syscalls.ts";
import { isReachableByAll, Staging } from "./staging.ts";
import { TmpPool } from "./tmp-pool.ts";
import { claimUids, type UidPool, type UidRange } from "./uids.ts";
import { reapLeftovers, setWatchdog } from "./watchdog.ts";

export interface PremisesOptions {
  /**
   * An absolute path where the driver may keep its things while it runs; made if need be, and shared by all workers of
   * the host. By default a folder in memory.
   */
  readonly home?: string;
  /** Host users for sandboxes, where the worker is root; by default a range that nothing else gives away. */
  readonly uids?: UidRange;
  /** The size most sandboxes' /tmp has, kept ready; 512 MiB unless said otherwise. */
  readonly usualTmpMiB?: number;
  /** How many /tmp's of that size are kept ready; 4 unless said otherwise. */
  readonly readyTmps?: number;
  /** Of the sandboxes that are to have a network. */
  readonly egress?: EgressOptions;
}

export interface Premises {
  readonly name: string;
  /** Everything of this instance lies in it; `own/` is for what only one driver has. */
  readonly folder: string;
  readonly architecture: Architecture;
  readonly host: HostFacts;
  readonly cgroups: Cgroups;
  /** How to get the limits that `cgroups` lacks. */
  readonly limitsRemedy: string;
  /** Where a program that makes groups of its own is to make them; undefined where none does. */
  readonly programGroups: ProgramGroups | undefined;
  /** Undefined where the worker can't become other users. */
  readonly uids: UidPool | undefined;
  /** Undefined without private mounts, as is `staging`. */
  readonly tmps: TmpPool | undefined;
  readonly staging: Staging | undefined;
  /** Undefined without private mounts, and where mounts can't be shared. */
  readonly places: LatePlaces | undefined;
  close(): Promise<void>;
}

/** Where the driver keeps its things unless told otherwise: in memory where there is a place for that. */
export function defaultHome(): string {
  const uid = userOnHost();
  if (uid === 0) return "/run/mayfly";
  return join(process.env.XDG_RUNTIME_DIR ?? tmpdir(), `mayfly-${uid}`);
}

/** Who we are to others: a worker that `privateMountsCommand` started for an ordinary user is root to itself alone. */
export function userOnHost(): number | undefined {
  const [, outside, length] = readFileSync("/proc/self/uid_map", "utf8").trim().split(/\s+/).map(Number);
  return length === 1 ? outside : process.geteuid?.();
}

/**
 * Opens premises, reaping first what dead workers left. With `programMakesGroups`, what makes the sandboxes has groups of
 * its own in `programGroups`. Throws `IsolationUnavailable`, leaving nothing.
 */
export async function openPremises(
  given: PremisesOptions,
  { programMakesGroups = false }: { readonly programMakesGroups?: boolean } = {},
): Promise<Premises> {
  const architecture = thisArchitecture();
  if (!architecture) {
    throw new IsolationUnavailable(
      `there is no system call filter for ${process.arch}`,
      "Run workers on x86_64 or aarch64 hosts.",
    );
  }
  closeInheritable();
  const home = given.home ?? defaultHome();
  const name = await newInstanceName();
  const folder = join(home, name);
  const [mountinfo, membership] = await Promise.all([readOwn("mountinfo"), readOwn("cgroup")]);
  const cgroups = await openCgroups(name, mountinfo, membership);
  const limitsRemedy = await delegationRemedy(hierarchies(mountinfo, membership), userOnHost() ?? 0);
  const programGroups = programMakesGroups
    ? programGroupsIn(hierarchies(mountinfo, membership), name, cgroups)
    : undefined;
  const groups = [...new Set([...cgroups.folders, ...(programGroups?.folders ?? [])])];
  const watchdog = setWatchdog({ name, folder, cgroups: groups });
  let uids: UidPool | undefined;
  let tmps: TmpPool | undefined;
  let places: LatePlaces | undefined;
  const close = async () => {
    await tmps?.close();
    await places?.close();
    await cgroups.close();
    await programGroups?.remove();
    await uids?.close();
    await watchdog.dismiss();
  };
  try {
    await reapLeftovers(home, groups);
    // Sandbox users walk through these folders to what they are shown, and can't list them.
    for (const path of [home, folder, ...["tmp", "views", "own", "late"].map((each) => join(folder, each))]) {
      await mkdir(path, { recursive: true });
      await chmod(path, 0o711).catch(() => {});
    }
    uids = await claimUids(given.uids);
    const host = await lookAround(join(folder, "etc"), process.geteuid?.() === 0 && !uids);
    if (uids && !isReachableByAll(host.etc)) {
      throw new IsolationUnavailable(
        `sandbox users can't reach the driver's home ${home}`,
        "Choose a home whose every parent folder others may walk through (chmod o+x), such as one below /run or /var/lib.",
      );
    }
    if (hasPrivateMounts()) {
      const { usualTmpMiB: usualMiB = 512, readyTmps: ready = 4 } = given;
      tmps = new TmpPool({ folder: join(folder, "tmp"), usualMiB, ready });
    }
    places = hasPrivateMounts() ? await LatePlaces.open(join(folder, "late")).catch(() => undefined) : undefined;
    const staging = tmps && new Staging(join(folder, "views"));
    return {
      name,
      folder,
      architecture,
      host,
      cgroups,
      limitsRemedy,
      programGroups,
      uids,
      tmps,
      staging,
      places,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

const readOwn = (file: string): Promise<string> => readFile(`/proc/self/${file}`, "utf8");
