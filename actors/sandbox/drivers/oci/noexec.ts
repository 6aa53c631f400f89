/**
 * Which of the host's mounts forbid execution. In a sandbox's user namespace the kernel lets no view of such a mount drop
 * that flag, and a runtime that sets a view's flags to just those it was asked for fails there: systemd's `/run` is one.
 */
import { readFile, realpath } from "node:fs/promises";

/** Of absolute `paths`, those that lie on a mount with `noexec`, as this process sees them. */
export async function onNoexec(paths: readonly string[]): Promise<ReadonlySet<string>> {
  const mounts = mountsIn(await readFile("/proc/self/mountinfo", "utf8"));
  const real = await Promise.all(paths.map((path) => realpath(path).catch(() => path)));
  return new Set(paths.filter((_, index) => isNoexec(mounts, real[index] ?? "/")));
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
