/** The OCI runtimes the driver knows how to drive, and what is peculiar to each. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { IsolationUnavailable, type OciPath } from "../driver.ts";
import { findProgram } from "../find-program.ts";
import { userOnHost } from "../premises.ts";
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
   * It sets limits before it makes the user namespace: what the kernel counts against that namespace's maker too is left to
   * this program, inside.
   */
  readonly limitsEarly: { readonly prlimit: string | undefined } | undefined;
  /** How the filter is given to it. "words without numbers": whatever it refuses it answers with EPERM (see `ociSeccomp`). */
  readonly filter: "instructions" | "words" | "words without numbers";
  readonly overhead: Overhead;
}

/** A kernel of its own in user space takes memory and threads that belong to the sandbox. */
const GVISOR = { memoryMiB: 48, pids: 128 };

const peculiarities: Record<
  OciRuntime,
  Omit<FoundRuntime, "version" | "command" | "ownUser" | "name" | "limitsEarly">
> = {
  // The shell that starts the program is counted with it.
  crun: {
    channel: "descriptor",
    ownCgroup: false,
    setsFlagsAnew: false,
    needsPlainRoot: false,
    filter: "instructions",
    overhead: { pids: 1, memoryMiB: 0, users: 2 },
  },
  runc: {
    channel: "descriptor",
    ownCgroup: true,
    setsFlagsAnew: true,
    needsPlainRoot: false,
    filter: "words",
    overhead: { pids: 1, memoryMiB: 0, users: 2 },
  },
  runsc: {
    channel: "input",
    ownCgroup: false,
    setsFlagsAnew: false,
    needsPlainRoot: true,
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
  const command = await commandOf(name, path, stdout);
  const ownUser = command.includes("--map-root-user") ? 0 : (process.geteuid?.() ?? 0);
  const limitsEarly = name === "crun" ? { prlimit: await findProgram("prlimit") } : undefined;
  return { name, version, command, ownUser, ...own, filter, limitsEarly };
}

const isNamed = (asked: OciRuntime | OciPath): asked is OciRuntime => !asked.startsWith("/");

async function commandOf(name: OciRuntime, path: string, told: string): Promise<string[]> {
  if (name === "runc") return [path];
  if (name === "crun") {
    const hybrid = (await mountedTypes()).get("/sys/fs/cgroup/unified") === "cgroup2";
    return [...crunsSurroundings(hybrid, userOnHost() !== 0), path, "--cgroup-manager=disabled"];
  }
  // Later ones choose a platform themselves; before, the only one that runs everywhere was slow.
  const platform = isBefore2023(told) ? ["--platform=ptrace"] : [];
  return [path, "--ignore-cgroups", "--network=none", "--oci-seccomp", ...platform];
}

/** Of a release of gVisor, by what `runsc --version` says of the day it was made. */
const isBefore2023 = (told: string): boolean => /(?:0\.0~|release-)20(?:1\d|2[012])/.test(told);

/**
 * crun gives up where both generations of control groups are mounted, also when it shall make none: it is started where
 * the second isn't to be seen. And it sets limits before it makes the sandbox's user namespace, so that of an ordinary
 * user all processes would count against one sandbox's: it is started in a user namespace around that one. As root there
 * it asks no newuidmap either, whose complaints would be on the sandbox's standard error.
 */
function crunsSurroundings(isHybrid: boolean, isOrdinary: boolean): string[] {
  if (!isHybrid && !isOrdinary) return [];
  const user = isOrdinary ? ["--user", "--map-root-user"] : [];
  if (!isHybrid) return ["unshare", ...user];
  const hidden = 'mount -n -t tmpfs none /sys/fs/cgroup/unified && exec "$@"';
  return ["unshare", ...user, "--mount", "--propagation", "slave", "/bin/sh", "-c", hidden, "sh"];
}

async function mountedTypes(): Promise<Map<string, string>> {
  const lines = (await readFile("/proc/self/mounts", "utf8")).split("\n").map((line) => line.split(" "));
  return new Map(lines.map(([, at = "", type = ""]) => [at, type]));
}
