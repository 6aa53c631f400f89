/** The command line that starts a sandbox: bubblewrap, the function's program, and the limits that go with a process. */
import type { EnclosureSpec } from "../driver.ts";
import type { LifeSpec } from "./life.ts";
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

/**
 * The kernel counts a limit on processes per user, and within a user namespace apart. So a sandbox with a host user of
 * its own is limited before it is made; others are limited from inside, where only their own processes count.
 */
export function launch(
  /** The driver instance's. */
  name: string,
  { prlimit, bwrap }: Tools,
  spec: EnclosureSpec,
  uid: number | undefined,
): Pick<LifeSpec, "launcher" | "command"> {
  // The instance's name as an argument is how the watchdog finds this process; the options that follow empty the
  // environment it is put into.
  const bubblewrap = [bwrap.path, "--setenv", "MAYFLY", name, "--args", `${descriptors.args}`, "--"];
  if (!prlimit) return { launcher: bubblewrap, command: spec.command };
  const limits = [prlimit, `--core=${CORE_BYTES}`, `--nofile=${OPEN_FILES}`];
  if (uid === undefined && seenInside(prlimit, spec)) {
    return { launcher: bubblewrap, command: [...limits, `--nproc=${spec.pids + OWN_INSIDE}`, "--", ...spec.command] };
  }
  const processes = uid === undefined ? [] : [`--nproc=${spec.pids + OWN_IN_ALL}`];
  return { launcher: [...limits, ...processes, "--", ...bubblewrap], command: spec.command };
}

/** Whether the host's program at `path` is at the same path inside. */
function seenInside(path: string, { mounts }: EnclosureSpec): boolean {
  return path.startsWith("/usr/") && !mounts.some((mount) => mount.to === "/usr");
}
