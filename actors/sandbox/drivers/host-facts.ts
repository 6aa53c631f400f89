/** What of the host every sandbox is made from, whichever program makes it. */
import { lstat, readdir, readlink, stat } from "node:fs/promises";
import { makeEtc } from "./etc.ts";
import type { Architecture } from "./seccomp/syscalls.ts";

/** Size of /dev/shm. */
export const SHARED_MEMORY_MIB = 16;

/** The environment every program is started with, beside its working folder. */
export const PLAIN_ENVIRONMENT = { PATH: "/usr/local/bin:/usr/bin:/bin:/opt/bin", LANG: "C.UTF-8" } as const;

/** Folders that are there also when nothing is mounted on them. */
export const OWN_FOLDERS = ["/var/task", "/var/runtime", "/var/lang", "/opt"] as const;

/** What of the host every sandbox is made from; found once, by the driver. */
export interface HostFacts {
  /** The generated /etc. */
  readonly etc: string;
  /** Absolute paths of the host's /etc to show in it. */
  readonly etcFromHost: readonly string[];
  /** Brings what was copied of the host's /etc up to date; see etc.ts. */
  renewEtc(): void;
  /** Top-level names besides /usr that programs need, as the host has them: a link's target, or null for a folder. */
  readonly topLevel: ReadonlyMap<string, string | null>;
  /** Files of /proc that tell about the host; can't be opened. */
  readonly maskedFiles: readonly string[];
  /** Folders of /proc of that sort; seen empty. */
  readonly maskedFolders: readonly string[];
}

/** Which of the architectures that have a system call filter this process runs on; undefined when it is another. */
export function thisArchitecture(): Architecture | undefined {
  return process.arch === "x64" || process.arch === "arm64" ? process.arch : undefined;
}

/** A kept /tmp of the host's side, or a size for one that lives as long as the processes. */
export type Tmp = { readonly from: string } | { readonly sizeMiB: number };

/** Candidates for `maskedFiles` and `maskedFolders`; which of them exist depends on the kernel. */
export const tellingFiles = [
  ...["buddyinfo", "cmdline", "config.gz", "diskstats", "interrupts", "iomem", "ioports", "kallsyms", "kcore", "keys"],
  ...["key-users", "kmsg", "kpagecgroup", "kpagecount", "kpageflags", "latency_stats", "locks", "mdstat", "modules"],
  ...["pagetypeinfo", "partitions", "sched_debug", "schedstat", "slabinfo", "swaps", "sysrq-trigger", "timer_list"],
  ...["timer_stats", "vmallocinfo"],
];
export const tellingFolders = ["acpi", "asound", "bus", "driver", "dynamic_debug", "fs", "irq", "scsi"];

/**
 * Looks at the host and writes the sandboxes' /etc into `etc`. With `asRoot`, sandboxes run as the host's root, for
 * whom no file's mode is an obstacle; else only what others may read needs a mask, and each mask costs 0.1 ms a boot.
 */
export async function lookAround(etc: string, asRoot: boolean): Promise<HostFacts> {
  const topLevel = new Map<string, string | null>();
  for (const name of ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store"]) {
    const found = await lstat(name).catch(() => undefined);
    if (found?.isSymbolicLink()) topLevel.set(name, await readlink(name));
    else if (found) topLevel.set(name, null);
  }
  const isSeen = async (path: string) => {
    const found = await stat(path).catch(() => undefined);
    if (!found || !(asRoot || (found.mode & 0o004) !== 0)) return false;
    return !found.isDirectory() || (await readdir(path)).length > 0;
  };
  const seen = async (names: readonly string[]) => {
    const paths = names.map((name) => `/proc/${name}`);
    const answers = await Promise.all(paths.map(isSeen));
    return paths.filter((_, index) => answers[index]);
  };
  const { fromHost: etcFromHost, renew: renewEtc } = await makeEtc(etc);
  return {
    etc,
    etcFromHost,
    renewEtc,
    topLevel,
    maskedFiles: await seen(tellingFiles),
    maskedFolders: await seen(tellingFolders),
  };
}
