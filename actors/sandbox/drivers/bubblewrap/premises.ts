/**
 * What one driver instance holds from its first use until it closes: its folder, groups, users, ready /tmp's, and the
 * watchdog that clears all of that away should the worker die.
 */
import { readFileSync } from "node:fs";
import { chmod, copyFile, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Cgroups } from "../cgroups/cgroup.ts";
import { openCgroups } from "../cgroups/find.ts";
import { closeInheritable } from "../descriptors.ts";
import { IsolationUnavailable } from "../driver.ts";
import type { EgressOptions } from "../egress/network.ts";
import { Networks } from "../egress/networks.ts";
import { newInstanceName } from "../instance.ts";
import { LatePlaces } from "../late-places.ts";
import { hasPrivateMounts } from "../private-mounts.ts";
import { seccompFilter, thisArchitecture } from "../seccomp/policy.ts";
import { isReachableByAll, Staging } from "../staging.ts";
import { TmpPool } from "../tmp-pool.ts";
import { claimUids, type UidPool, type UidRange } from "../uids.ts";
import { reapLeftovers, setWatchdog } from "../watchdog.ts";
import { findBubblewrap, findProgram, lookAround } from "./host.ts";
import type { HostFacts } from "./profile.ts";

export interface BubblewrapOptions {
  /**
   * An absolute path where the driver may keep its things while it runs; made if need be, and shared by all workers of
   * the host. By default a folder in memory.
   */
  readonly home?: string;
  /** The `bwrap` to use; by default the first on PATH. */
  readonly bwrapPath?: string;
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
  readonly folder: string;
  readonly bwrap: {
    readonly path: string;
    readonly version: string;
    /** A function could change its mode, so that this worker can start no more sandboxes. */
    readonly isTheirs: boolean;
  };
  /** util-linux's, undefined where it is missing. */
  readonly prlimit: string | undefined;
  readonly host: HostFacts;
  readonly seccompFile: string;
  readonly cgroups: Cgroups;
  /** Undefined where the worker can't become other users. */
  readonly uids: UidPool | undefined;
  /** Undefined without private mounts, as is `staging`. */
  readonly tmps: TmpPool | undefined;
  readonly staging: Staging | undefined;
  readonly networks: Networks;
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

/** Opens premises, reaping first what dead workers left. Throws `IsolationUnavailable`, leaving nothing. */
export async function openPremises(given: BubblewrapOptions): Promise<Premises> {
  const bwrap = await findBubblewrap(given.bwrapPath);
  const architecture = thisArchitecture();
  if (!architecture) {
    throw new IsolationUnavailable(
      `there is no system call filter for ${process.arch}`,
      "Run workers on x86_64 or aarch64 hosts.",
    );
  }
  await closeInheritable();
  const home = given.home ?? defaultHome();
  const name = await newInstanceName();
  const folder = join(home, name);
  const cgroups = await openCgroups(name, await readOwn("mountinfo"), await readOwn("cgroup"));
  const watchdog = setWatchdog({ name, folder, cgroups: cgroups.folders });
  let uids: UidPool | undefined;
  let tmps: TmpPool | undefined;
  let networks: Networks | undefined;
  let places: LatePlaces | undefined;
  const close = async () => {
    await networks?.close().catch(() => {});
    await tmps?.close();
    await places?.close();
    await cgroups.close();
    await uids?.close();
    await watchdog.dismiss();
  };
  try {
    await reapLeftovers(home, cgroups.folders);
    // Sandbox users walk through these folders to what they are shown, and can't list them.
    for (const path of [home, folder, ...["tmp", "views", "args", "late"].map((each) => join(folder, each))]) {
      await mkdir(path, { recursive: true });
      await chmod(path, 0o711).catch(() => {});
    }
    uids = await claimUids(given.uids);
    const host = await lookAround(join(folder, "etc"), process.geteuid?.() === 0 && !uids);
    if (uids && !(await isReachableByAll(host.etc))) {
      throw new IsolationUnavailable(
        `sandbox users can't reach the driver's home ${home}`,
        "Choose a home whose every parent folder others may walk through (chmod o+x), such as one below /run or /var/lib.",
      );
    }
    const seccompFile = join(folder, "seccomp");
    await writeFile(seccompFile, seccompFilter(architecture));
    if (hasPrivateMounts()) {
      const { usualTmpMiB: usualMiB = 512, readyTmps: ready = 4 } = given;
      tmps = new TmpPool({ folder: join(folder, "tmp"), usualMiB, ready });
    }
    places = hasPrivateMounts() ? await LatePlaces.open(join(folder, "late")).catch(() => undefined) : undefined;
    const staging = tmps && new Staging(join(folder, "views"));
    const prlimit = await findProgram("prlimit");
    const { path, isTheirs } = await startable(bwrap.path, { uids, staging, folder });
    const gids = uids && { first: uids.range.first, last: uids.range.first + uids.range.count - 1 };
    const place = { name, folder, bwrap: path, prlimit, topLevel: host.topLevel, gids };
    networks = new Networks(place, given.egress);
    const program = { path, version: bwrap.version, isTheirs };
    return {
      ...{ name, folder, bwrap: program, prlimit, host, seccompFile, cgroups },
      ...{ uids, tmps, staging, places, networks, close },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/**
 * A path at which sandboxes' users may start bubblewrap and not harm it. A user of its own can't walk to one in root's
 * folders. The worker's own user could change one that belongs to it: bubblewrap is the first process inside, and a
 * file's owner may change its mode by way of /proc/1/exe, unless it was started from a place that can't be written.
 */
async function startable(
  program: string,
  { uids, staging, folder }: Pick<Premises, "uids" | "staging" | "folder">,
): Promise<{ path: string; isTheirs: boolean }> {
  const isTheirs = !uids && (await stat(program)).uid === process.geteuid?.();
  if (!isTheirs && (!uids || (await isReachableByAll(program)))) return { path: program, isTheirs };
  if (staging) return { path: await staging.hold(program), isTheirs: false };
  const copy = join(folder, "bwrap");
  await copyFile(program, copy);
  await chmod(copy, 0o755);
  return { path: copy, isTheirs };
}

const readOwn = (file: string): Promise<string> => readFile(`/proc/self/${file}`, "utf8");
