/**
 * What a sandbox looks like from the inside, as bubblewrap options. Pure: paths in, options out.
 *
 * The order is the order the mounts are made in, and what is mounted later covers what came before.
 */
import type { Mount } from "../driver.ts";
import { HOSTNAME, SANDBOX_ID } from "../etc.ts";
import { type HostFacts, OWN_FOLDERS, PLAIN_ENVIRONMENT, SHARED_MEMORY_MIB, type Tmp } from "../host-facts.ts";

const MiB = 1024 * 1024;

/** The namespaces of its own, by the names `Isolation` uses. */
export const namespaces = ["user", "pid", "mount", "net", "ipc", "uts", "cgroup"] as const;

/** What `--dev` makes, but without terminals: the kernel has some for the whole host, and one sandbox could take them all. */
const DEVICES = [
  ...["--perms", "0755", "--size", "65536", "--tmpfs", "/dev"],
  ...["null", "zero", "full", "random", "urandom", "tty"].flatMap((name) => [
    "--dev-bind",
    `/dev/${name}`,
    `/dev/${name}`,
  ]),
  ...["--symlink", "/proc/self/fd", "/dev/fd"],
  ...["stdin", "stdout", "stderr"].flatMap((name, number) => ["--symlink", `/proc/self/fd/${number}`, `/dev/${name}`]),
];

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
    ...["--clearenv", ...Object.entries(PLAIN_ENVIRONMENT).flatMap((entry) => ["--setenv", ...entry])],
    ...(ownUsr ? [] : ["--ro-bind", "/usr", "/usr"]),
    ...[...host.topLevel].flatMap(([name, target]) =>
      target === null ? ["--ro-bind", name, name] : ["--symlink", target, name],
    ),
    ...["--ro-bind", host.etc, "/etc", ...host.etcFromHost.flatMap((path) => ["--ro-bind", path, path])],
    ...["--proc", "/proc", ...host.maskedFiles.flatMap((path) => ["--ro-bind", "/dev/null", path])],
    ...host.maskedFolders.flatMap((path) => ["--size", "4096", "--tmpfs", path, "--remount-ro", path]),
    ...DEVICES,
    ...["--perms", "1777", "--size", `${SHARED_MEMORY_MIB * MiB}`, "--tmpfs", "/dev/shm"],
    ...["--remount-ro", "/dev"],
    ...("from" in tmp
      ? ["--bind", tmp.from, "/tmp"]
      : ["--perms", "1777", "--size", `${tmp.sizeMiB * MiB}`, "--tmpfs", "/tmp"]),
    ...OWN_FOLDERS.flatMap((path) => ["--dir", path]),
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
