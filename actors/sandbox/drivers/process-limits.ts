/**
 * What each process of a sandbox is held to beside its groups' limits. The kernel counts waiting signals (timers are some)
 * and locked memory by user, and within a user namespace against that of its maker as well: without these one sandbox
 * could take what all of the worker's have.
 */
import type { EnclosureSpec } from "./driver.ts";

export const PROCESS_LIMITS = {
  /** As on Lambda. */
  nofile: 1024,
  /**
   * No core dumps. The kernel starts a host's core handler (`core_pattern` with a pipe) as the host's root whatever the
   * limit is, also 0; at 1 it neither starts one nor finds room for a file. Source: linux/fs/coredump.c.
   */
  core: 1,
  sigpending: 1024,
  /** Bytes, as on Lambda. */
  memlock: 64 * 1024,
} as const;

export type ProcessLimit = keyof typeof PROCESS_LIMITS;

/** Those that count within a user namespace, and where they were set before it was made, for all that its maker made. */
export const COUNTED_BY_MAKER: readonly ProcessLimit[] = ["sigpending", "memlock"];
export const allProcessLimits = Object.keys(PROCESS_LIMITS) as readonly ProcessLimit[];

/** To be put before what is to be limited, up to and including `--`. */
export const limitedBy = (prlimit: string, limits: readonly ProcessLimit[], processes?: number): readonly string[] => [
  prlimit,
  ...limits.map((name) => `--${name}=${PROCESS_LIMITS[name]}`),
  ...(processes === undefined ? [] : [`--nproc=${processes}`]),
  "--",
];

/** Whether the host's program at `path` is at the same path inside. */
export function seenInside(path: string, { mounts }: Pick<EnclosureSpec, "mounts">): boolean {
  return path.startsWith("/usr/") && !mounts.some((mount) => mount.to === "/usr");
}
