/**
 * A mount namespace of the worker's own: what it mounts there nobody else sees, and it is gone with its last process,
 * however that one ended. /tmp that outlives a time-out needs it, because such a /tmp is mounted on the host's side.
 *
 * A running process of several threads can't move to a new mount namespace, so whoever starts a worker puts
 * `privateMountsCommand()` before its command line. It replaces itself by the worker: same pid, same descriptors.
 */
import { execFile } from "node:child_process";
import { readlinkSync, statSync } from "node:fs";
import { mkdir, readFile, rm } from "node:fs/promises";
import { promisify } from "node:util";
import { inMounts, inMountsAtOnce } from "./mounter.ts";

const run = promisify(execFile);

/** Names the mount namespace the worker was started from; it is in a private one when its own is another. */
const OUTSIDE = "MAYFLY_MOUNTS_OUTSIDE";

const ownNamespace = () => readlinkSync("/proc/self/ns/mnt");

/**
 * What to put before the command of a worker that will be started as user `uid`, by default this process's. An ordinary
 * user gets a user namespace too, in which it appears as root and stays itself for everybody else.
 */
export function privateMountsCommand(uid = process.geteuid?.()): string[] {
  const user = uid === 0 ? [] : ["--user", "--map-root-user"];
  return ["unshare", ...user, "--mount", "--propagation", "private", "env", `${OUTSIDE}=${ownNamespace()}`];
}

/** `privateMountsCommand()` where this host allows it; nothing where it doesn't: a worker can do without. */
export async function privateMountsIfAllowed(): Promise<string[]> {
  const command = privateMountsCommand();
  const [program = "", ...args] = command;
  return run(program, [...args, "true"]).then(
    () => command,
    () => [],
  );
}

/** Whether this process was started by `privateMountsCommand`. */
export function hasPrivateMounts(): boolean {
  const outside = process.env[OUTSIDE];
  return outside !== undefined && outside !== ownNamespace();
}

/** Mounts a memory file system of `sizeMiB` at `path`, made if need be; anybody may write there, as in /tmp. */
export async function mountTmp(path: string, sizeMiB: number): Promise<void> {
  await mkdir(path, { recursive: true });
  // 256 files per MiB: a file costs the kernel about 1 KiB that the size doesn't count.
  const options = `nosuid,nodev,mode=1777,size=${sizeMiB}m,nr_inodes=${Math.max(4096, sizeMiB * 256)}`;
  await inMounts("mount", "-n", "-t", "tmpfs", "-o", options, "tmp", path);
}

/** Mounts an empty memory file system without any flag at `path`, made if need be, for things that weigh nothing. */
export async function mountPlain(path: string): Promise<void> {
  await mkdir(path, { recursive: true });
  await inMounts("mount", "-n", "-t", "tmpfs", "-o", "mode=711,size=1m", "plain", path);
}

/** Shows `from` (a file or a folder) read-only at `path` as well. */
export async function mountView(from: string, path: string): Promise<void> {
  await inMounts("mount", "-n", "--bind", from, path);
  await inMounts("mount", "-n", "-o", "remount,bind,ro,nosuid,nodev", path);
}

/**
 * Whether a view still shows what is at `from`, which may have been removed and made anew. As long as the view is there,
 * nothing else on its file system is given that one's number.
 */
export function isShown(from: string, view: string): boolean {
  const [is, shown] = [from, view].map((path) => statSync(path, { throwIfNoEntry: false }));
  return is !== undefined && is.ino === shown?.ino && is.dev === shown.dev;
}

/** Shows `from`, flags and all, at `path` as well; whatever has a slave of the mount `path` lies in sees it too. */
export async function mountThere(from: string, path: string): Promise<void> {
  await inMountsAtOnce("mount", "-n", "--bind", from, path);
}

/** Makes the folder `path` a mount of its own, with which others can share what is mounted below it. */
export async function mountShared(path: string): Promise<void> {
  await inMounts("mount", "-n", "--bind", path, path);
  await inMounts("mount", "-n", "--make-shared", path);
}

/** Takes down the mount at `path` and removes the folder or file it was on. Done already counts as done. */
export async function unmount(path: string): Promise<void> {
  await inMounts("umount", "-n", path).catch(async () => {
    // Lazily when something is still leaving it: gone from sight now, freed with its last user. The list of all mounts
    // is long where there are many sandboxes, so it is read only here.
    if (await isMounted(path)) await inMounts("umount", "-n", "-l", path);
  });
  // Only what the mount was on is left, and that is empty.
  await rm(path, { recursive: true, force: true });
}

async function isMounted(path: string): Promise<boolean> {
  return (await readFile("/proc/self/mountinfo", "utf8")).split("\n").some((line) => line.split(" ")[4] === path);
}
