/**
 * What must be known of the host's mounts about a path that is to be shown in a sandbox. In a sandbox's user namespace the
 * kernel lets no view drop the flag `noexec`, and a runtime that sets a view's flags to just those it was asked for fails
 * there: systemd's `/run` is one. Nor does it let a view leave out what is mounted below, and so show what that hides.
 */
import { readFile, realpath } from "node:fs/promises";

export interface OnHost {
  /** Of the paths, those that lie on a mount with `noexec`. */
  readonly noexec: ReadonlySet<string>;
  /** Those below which something else is mounted. */
  readonly divided: ReadonlySet<string>;
}

/** About absolute `paths`, as this process sees them. */
export async function lookAtMounts(paths: readonly string[]): Promise<OnHost> {
  const mounts = mountsIn(await readFile("/proc/self/mountinfo", "utf8"));
  const real = await Promise.all(paths.map(async (path) => [path, await realpath(path).catch(() => path)] as const));
  const those = (is: (at: string) => boolean) => new Set(real.flatMap(([path, at]) => (is(at) ? [path] : [])));
  return {
    noexec: those((at) => isNoexec(mounts, at)),
    divided: those((at) => mounts.some((mount) => mount.at.startsWith(`${at}/`))),
  };
}

interface Mounted {
  readonly at: string;
  readonly noexec: boolean;
}

/** Reads a `/proc/<pid>/mountinfo` text (proc(5)), in its order. */
function mountsIn(mountinfo: string): Mounted[] {
  return mountinfo
    .split("\n")
    .filter(Boolean)
    .map((line) => {
      const [, , , , at = "", flags = ""] = line.split(" ");
      const plain = at.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)));
      return { at: plain, noexec: flags.split(",").includes("noexec") };
    });
}

/** What was mounted deepest counts, and of those at one place the latest. */
function isNoexec(mounts: readonly Mounted[], path: string): boolean {
  let deepest: Mounted = { at: "", noexec: false };
  for (const mount of mounts) {
    const within = mount.at === "/" || path === mount.at || path.startsWith(`${mount.at}/`);
    if (within && mount.at.length >= deepest.at.length) deepest = mount;
  }
  return deepest.noexec;
}
