/** The OCI runtimes the driver knows how to drive, and what is peculiar to each. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { IsolationUnavailable, type OciPath } from "../driver.ts";
import { findProgram } from "../find-program.ts";
import { userOnHost } from "../premises.ts";
import { UTIL_LINUX } from "../remedies.ts";
import type { Overhead } from "../reserve.ts";

const run = promisify(execFile);

/** In the order "oci" tries them in: what costs a sandbox least first. */
export const ociRuntimes = ["crun", "runc", "runsc"] as const;
export type OciRuntime = (typeof ociRuntimes)[number];

/** How a runtime was found here, and how it is used. */
export interface FoundRuntime {
  /** Which of them it is, or is driven as. */
  readonly name: OciRuntime;
  readonly version: string;
  /** The command up to its subcommand. */
  readonly command: readonly string[];
  /**
   * "descriptor": it hands descriptor 3 on, and only the sandbox's first process need be in its group. "input": it hands
   * on none but the first three, and is itself a part of the sandbox: all its processes belong into the group.
   */
  readonly channel: "descriptor" | "input";
  /** The user it believes to be when the worker is nobody special: where it is started in a user namespace, root. */
  readonly ownUser: number;
  /** It makes groups of its own beside ours. */
  readonly ownCgroup: boolean;
  /** Of what it shows it keeps none of the host's mount flags but those it is asked for. */
  readonly setsFlagsAnew: boolean;
  /** It takes the host's flags off the mount a sandbox's root lies on, which the kernel refuses where there are any. */
  readonly needsPlainRoot: boolean;
  /**
   * How it sets the limits of processes. "early": before it makes a user namespace, so that what the kernel counts against
   * that one's maker too has to be left to somebody inside. "as root": from outside, which whoever made the namespace may,
   * and else only a root that has all of a root's rights. "inside": by a kernel of its own.
   */
  readonly limits: "early" | "as root" | "inside";
  /** Of a user namespace that it joins it asks for the map, too; others complain where they are told. */
  readonly asksForMap: boolean;
  /** util-linux's, undefined where they are missing. */
  readonly unshare: string | undefined;
  readonly prlimit: string | undefined;
  /** How the filter is given to it. "words without numbers": whatever it refuses it answers with EPERM (see `ociSeccomp`). */
  readonly filter: "instructions" | "words" | "words without numbers";
  readonly overhead: Overhead;
}

/** A kernel of its own in user space takes memory and threads that belong to the sandbox. */
const GVISOR = { memoryMiB: 48, pids: 128 };

const peculiarities: Record<
  OciRuntime,
  Omit<FoundRuntime, "version" | "command" | "ownUser" | "name" | "asksForMap" | "unshare" | "prlimit">
> = {
  // The shell that starts the program is counted with it.
  crun: {
    channel: "descriptor",
    ownCgroup: false,
    setsFlagsAnew: false,
    needsPlainRoot: false,
    limits: "early",
    filter: "instructions",
    overhead: { pids: 1, memoryMiB: 0, users: 2 },
  },
  runc: {
    channel: "descriptor",
    ownCgroup: true,
    setsFlagsAnew: true,
    needsPlainRoot: false,
    limits: "as root",
    filter: "words",
    overhead: { pids: 1, memoryMiB: 0, users: 2 },
  },
  runsc: {
    channel: "input",
    ownCgroup: false,
    setsFlagsAnew: false,
    needsPlainRoot: true,
    limits: "inside",
    filter: "words",
    overhead: { ...GVISOR, users: 2 },
  },
};

const INSTALL: Record<OciRuntime, string> = {
  crun: "Install crun (apt install crun, dnf install crun, apk add crun).",
  runc: "Install runc (apt install runc, dnf install runc, apk add runc).",
  runsc:
    "Install gVisor's runsc (apt install runsc, or a current release as gvisor.dev/docs/user_guide/install tells).",
};

/**
 * The runtime of this host that is asked for, by name or by its path. Of a path it is driven as what it says it is, and as
 * runc, which keeps to the specification, where it says anything else. Throws `IsolationUnavailable`.
 */
export async function findRuntime(asked: OciRuntime | OciPath): Promise<FoundRuntime> {
  const remedy = isNamed(asked)
    ? INSTALL[asked]
    : "Let MAYFLY_SANDBOX name the path of an OCI runtime, as in oci:/usr/bin/crun.";
  const path = isNamed(asked) ? await findProgram(asked) : await findProgram(asked, asked);
  if (!path) throw new IsolationUnavailable(`the OCI runtime ${asked} was not found`, remedy);
  const { stdout } = await run(path, ["--version"]).catch((error: Error) => {
    throw new IsolationUnavailable(`${path} doesn't say its version: ${error.message}`, remedy);
  });
  const name = isNamed(asked) ? asked : (ociRuntimes.find((each) => stdout.startsWith(`${each} `)) ?? "runc");
  const version = /version:?\s+(\S+)/.exec(stdout)?.[1] ?? "unknown";
  const own = peculiarities[name];
  const filter = name === "runsc" && isBefore2023(stdout) ? "words without numbers" : own.filter;
  const [unshare, prlimit] = await Promise.all(["unshare", "prlimit"].map((each) => findProgram(each)));
  const command = await commandOf(name, path, { told: stdout, unshare });
  const ownUser = command.includes("--map-root-user") ? 0 : (process.geteuid?.() ?? 0);
  const asksForMap = stdout.startsWith("runc ") && isBefore(version, [1, 1, 11]);
  return { name, version, command, ownUser, ...own, filter, asksForMap, unshare, prlimit };
}

const isNamed = (asked: OciRuntime | OciPath): asked is OciRuntime => !asked.startsWith("/");

/** The command up to the subcommand of a runtime that `told` this of itself. */
async function commandOf(
  name: OciRuntime,
  path: string,
  { told, unshare }: { readonly told: string; readonly unshare: string | undefined },
): Promise<string[]> {
  if (name === "runc") return [path];
  if (name === "crun") {
    const hybrid = (await mountedTypes()).get("/sys/fs/cgroup/unified") === "cgroup2";
    const around = crunsSurroundings(hybrid, userOnHost() !== 0);
    if (around.length === 0) return [path, "--cgroup-manager=disabled"];
    if (unshare === undefined)
      throw new IsolationUnavailable("unshare was not found, without which crun can't be used here", UTIL_LINUX);
    return [unshare, ...around, path, "--cgroup-manager=disabled"];
  }
  // Later ones choose a platform themselves; before, the only one that runs everywhere was slow.
  const platform = isBefore2023(told) ? ["--platform=ptrace"] : [];
  return [path, "--ignore-cgroups", "--network=none", "--oci-seccomp", ...platform];
}

/** What doesn't say its number is a later one. Source: runc's CHANGELOG.md, 1.1.11, on paths of user namespaces. */
function isBefore(version: string, release: readonly number[]): boolean {
  const [, ...numbers] = /^(\d+)\.(\d+)\.(\d+)/.exec(version) ?? [];
  const at = numbers.findIndex((number, index) => Number(number) !== release[index]);
  return at !== -1 && Number(numbers[at]) < (release[at] ?? 0);
}

/** Of a release of gVisor, by what `runsc --version` says of the day it was made. */
const isBefore2023 = (told: string): boolean => /(?:0\.0~|release-)20(?:1\d|2[012])/.test(told);

/**
 * crun gives up where both generations of control groups are mounted, also when it shall make none: it is started where
 * the second isn't to be seen. And it sets limits before it makes the sandbox's user namespace, so that of an ordinary
 * user all processes would count against one sandbox's: it is started in a user namespace around that one. As root there
 * it asks no newuidmap either, whose complaints would be on the sandbox's standard error. These are unshare's own words.
 */
function crunsSurroundings(isHybrid: boolean, isOrdinary: boolean): string[] {
  if (!isHybrid && !isOrdinary) return [];
  const user = isOrdinary ? ["--user", "--map-root-user"] : [];
  if (!isHybrid) return user;
  const hidden = 'mount -n -t tmpfs none /sys/fs/cgroup/unified && exec "$@"';
  return [...user, "--mount", "--propagation", "slave", "/bin/sh", "-c", hidden, "sh"];
}

async function mountedTypes(): Promise<Map<string, string>> {
  const lines = (await readFile("/proc/self/mounts", "utf8")).split("\n").map((line) => line.split(" "));
  return new Map(lines.map(([, at = "", type = ""]) => [at, type]));
}
