/**
 * Mounts of the host that no sandbox is made from. Bubblewrap reads the list of all mounts anew for each that it makes,
 * some thirty times a start, which is a third of what it computes: where a worker has mounts of its own, these go.
 *
 * What goes holds no files, only the kernel's own switches, and none that a worker turns. An OCI runtime needs some of them.
 */
import { readFile } from "node:fs/promises";
import { inMounts } from "./mounter.ts";
import { hasPrivateMounts } from "./private-mounts.ts";

/** Types of such file systems; of the first generation of groups see `controllers`. */
const switches: ReadonlySet<string> = new Set([
  ...["binfmt_misc", "bpf", "configfs", "debugfs", "devpts", "efivarfs", "fusectl", "hugetlbfs", "mqueue", "pstore"],
  ...["securityfs", "tracefs"],
]);
/** Of the first generation of groups, what a worker limits and freezes by (cgroups/v1.ts). */
const controllers = ["memory", "pids", "cpu", "freezer"];

/** Takes them down where the host lets it: an ordinary user's worker has to keep what its user has. Does nothing without mounts of its own. */
export async function takeDownSpareMounts(): Promise<void> {
  if (!hasPrivateMounts()) return;
  const spare = spareMounts(await readFile("/proc/self/mountinfo", "utf8"));
  if (spare.length > 0) await inMounts("umount", "-n", ...spare).catch(() => {});
}

/** Where they are, the latest first, so that nothing lies on one that goes; `mountinfo` is as proc(5) has it. */
export function spareMounts(mountinfo: string): string[] {
  const spare: string[] = [];
  const carrying = new Set<string>();
  for (const line of mountinfo.split("\n").filter(Boolean).reverse()) {
    const [own = "", kernels = ""] = line.split(" - ");
    const [id = "", parent = "", , , at = ""] = own.split(" ");
    const [type = "", , options = ""] = kernels.split(" ");
    if (isSpare(type, options.split(",")) && !carrying.has(id)) spare.push(at);
    else carrying.add(parent);
  }
  return spare;
}

const isSpare = (type: string, options: readonly string[]): boolean =>
  type === "cgroup" ? !controllers.some((each) => options.includes(each)) : switches.has(type);
