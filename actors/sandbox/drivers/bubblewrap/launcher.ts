/** The command line that starts a sandbox: bubblewrap, the function's program, and the limits that go with a process. */
import type { EnclosureSpec } from "../driver.ts";
import { descriptors } from "./starters.ts";
import type { Tools } from "./tools.ts";

const OPEN_FILES = 1024;
/**
 * No core dumps. The kernel starts a host's core handler (`core_pattern` with a pipe) as the host's root whatever the
 * limit is, also 0; at 1 it neither starts one nor finds room for a file. Source: linux/fs/coredump.c.
 */
const CORE_BYTES = 1;
/** Processes of the sandbox's host user besides the function's: bubblewrap inside, and outside with its launcher. */
const OWN_INSIDE = 1;
const OWN_IN_ALL = 4;

export interface Launch {
  /** Sets the limits and becomes what follows; empty where nothing can. */
  readonly limits: readonly string[];
  /** How many processes they leave its user; undefined where that is limited from inside, or not at all. */
  readonly processes: number | undefined;
  /** Up to and including `--`. */
  readonly bubblewrap: readonly string[];
  readonly command: readonly string[];
}

/**
 * The kernel counts a limit on processes per user, and within a user namespace apart. So a sandbox with a host user of
 * its own is limited before it is made; others are limited from inside, where only their own processes count.
 */
export function launch(
  /** The driver instance's. */
  name: string,
  tools: Tools,
  spec: EnclosureSpec,
  uid: number | undefined,
): Launch {
  const processes = uid === undefined || tools.prlimit === undefined ? undefined : spec.pids + OWN_IN_ALL;
  const isLimitedInside = uid === undefined && tools.prlimit !== undefined && seenInside(tools.prlimit, spec);
  return {
    limits: isLimitedInside ? [] : limited(tools, processes),
    processes,
    bubblewrap: bubblewrap(name, tools),
    command: [...(isLimitedInside ? limited(tools, spec.pids + OWN_INSIDE) : []), ...spec.command],
  };
}

/**
 * The instance's name as an argument is how the watchdog finds this process; the options that follow empty the
 * environment it is put into.
 */
export const bubblewrap = (name: string, { bwrap }: Tools): readonly string[] => [
  bwrap.path,
  "--setenv",
  "MAYFLY",
  name,
  "--args",
  `${descriptors.args}`,
  "--",
];

/** To be put before what is to be limited. */
export function limited({ prlimit }: Pick<Tools, "prlimit">, processes?: number): readonly string[] {
  if (prlimit === undefined) return [];
  const counted = processes === undefined ? [] : [`--nproc=${processes}`];
  return [prlimit, `--core=${CORE_BYTES}`, `--nofile=${OPEN_FILES}`, ...counted, "--"];
}

/** Whether the host's program at `path` is at the same path inside. */
function seenInside(path: string, { mounts }: EnclosureSpec): boolean {
  return path.startsWith("/usr/") && !mounts.some((mount) => mount.to === "/usr");
}
