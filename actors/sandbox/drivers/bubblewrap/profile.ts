/**
 * What a sandbox looks like from the inside, as bubblewrap options. Pure: paths in, options out.
 *
 * The order is the order the mounts are made in, and what is mounted later covers what came before.
 */
import type { Mount } from "../driver.ts";

/** The user and group a function believes to be; on the host it is another one, or nobody. */
export const SANDBOX_ID = 1000;
export const HOSTNAME = "sandbox";

/** What of the host every sandbox is made from; found once, by the driver. */
export interface HostFacts {
  /** The generated /etc. */
  readonly etc: string;
  /** Absolute paths of the host's /etc to show in it. */
  readonly etcFromHost: readonly string[];
  /** Top-level names besides /usr that programs need, as the host has them: a link's target, or null for a folder. */
  readonly topLevel: ReadonlyMap<string, string | null>;
  /** Files of /proc that tell about the host; can't be opened. */
  readonly maskedFiles: readonly string[];
  /** Folders of /proc of that sort; seen empty. */
  readonly maskedFolders: readonly string[];
}

/** A kept /tmp of the host's side, or a size for one that lives as long as the processes. */
export type Tmp = { readonly from: string } | { readonly sizeMiB: number };

const MiB = 1024 * 1024;
const SHARED_MEMORY_MIB = 16;

/** Candidates for `maskedFiles` and `maskedFolders`; which of them exist depends on the kernel. */
export const tellingFiles = [
  ...["buddyinfo", "cmdline", "config.gz", "diskstats", "interrupts", "iomem", "ioports", "kallsyms", "kcore", "keys"],
  ...["key-users", "kmsg", "kpagecgroup", "kpagecount", "kpageflags", "latency_stats", "locks", "mdstat", "modules"],
  ...["pagetypeinfo", "partitions", "sched_debug", "schedstat", "slabinfo", "swaps", "sysrq-trigger", "timer_list"],
  ...["timer_stats", "vmallocinfo"],
];
export const tellingFolders = ["acpi", "asound", "bus", "driver", "dynamic_debug", "fs", "irq", "scsi"];

/** The namespaces of its own, by the names `Isolation` uses. */
export const namespaces = ["user", "pid", "mount", "net", "ipc", "uts", "cgroup"] as const;

/** Everything for `bwrap --args`, in its order. Descriptors are named by the numbers bubblewrap has them under. */
export function options(
  host: HostFacts,
  tmp: Tmp,
  mounts: readonly Mount[],
  descriptors: { readonly seccomp: number; readonly status: number; readonly block: number },
): string[] {
  const ownUsr = mounts.some((mount) => mount.to === "/usr");
  return [
    ...["--unshare-user", "--disable-userns", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"],
    ...["--unshare-cgroup", "--uid", `${SANDBOX_ID}`, "--gid", `${SANDBOX_ID}`, "--hostname", HOSTNAME],
    ...["--new-session", "--die-with-parent", "--cap-drop", "ALL"],
    ...["--clearenv", "--setenv", "PATH", "/usr/local/bin:/usr/bin:/bin:/opt/bin", "--setenv", "LANG", "C.UTF-8"],
    ...(ownUsr ? [] : ["--ro-bind", "/usr", "/usr"]),
    ...[...host.topLevel].flatMap(([name, target]) =>
      target === null ? ["--ro-bind", name, name] : ["--symlink", target, name],
    ),
    ...["--ro-bind", host.etc, "/etc", ...host.etcFromHost.flatMap((path) => ["--ro-bind", path, path])],
    ...["--proc", "/proc", ...host.maskedFiles.flatMap((path) => ["--ro-bind", "/dev/null", path])],
    ...host.maskedFolders.flatMap((path) => ["--size", "4096", "--tmpfs", path, "--remount-ro", path]),
    ...["--dev", "/dev", "--perms", "1777", "--size", `${SHARED_MEMORY_MIB * MiB}`, "--tmpfs", "/dev/shm"],
    ...["--remount-ro", "/dev"],
    ...("from" in tmp
      ? ["--bind", tmp.from, "/tmp"]
      : ["--perms", "1777", "--size", `${tmp.sizeMiB * MiB}`, "--tmpfs", "/tmp"]),
    // They are there also when nothing is mounted on them.
    ...["/var/task", "/var/runtime", "/var/lang", "/opt"].flatMap((path) => ["--dir", path]),
    ...["--symlink", "/tmp", "/var/tmp"],
    ...mounts.flatMap(({ from, to }) => ["--ro-bind", from, to]),
    ...["--remount-ro", "/", "--chdir", "/var/task"],
    ...[
      "--seccomp",
      `${descriptors.seccomp}`,
      "--json-status-fd",
      `${descriptors.status}`,
      "--block-fd",
      `${descriptors.block}`,
    ],
  ];
}
