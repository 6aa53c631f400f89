/** Why a host refuses namespaces, and what its owner can do: each distribution has its own switch. */
import { readFile } from "node:fs/promises";

interface Switch {
  readonly path: string;
  readonly refuses: (value: number) => boolean;
  readonly remedy: string;
}

const switches: readonly Switch[] = [
  {
    path: "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
    refuses: (value) => value !== 0,
    remedy:
      "Ubuntu's AppArmor keeps user namespaces from ordinary users: give /usr/bin/bwrap an AppArmor profile with `userns,`, or sysctl kernel.apparmor_restrict_unprivileged_userns=0.",
  },
  {
    path: "/proc/sys/kernel/unprivileged_userns_clone",
    refuses: (value) => value === 0,
    remedy: "Ordinary users get no user namespaces: sysctl kernel.unprivileged_userns_clone=1.",
  },
  {
    path: "/proc/sys/user/max_user_namespaces",
    refuses: (value) => value === 0,
    remedy: "User namespaces are switched off: sysctl user.max_user_namespaces=15000.",
  },
];

const inContainer =
  "In a container, run it with --security-opt seccomp=unconfined --security-opt systempaths=unconfined (Kubernetes: seccompProfile Unconfined, procMount Unmasked).";

/** util-linux is a part of nearly every distribution; slim images of some lack it. */
export const UTIL_LINUX =
  "Install util-linux (apt install util-linux, dnf install util-linux-core, apk add util-linux).";

/** The host's switches that stand against user namespaces, as remedies. */
export async function refusals(): Promise<string[]> {
  const found = await Promise.all(
    switches.map(async ({ path, refuses, remedy }) => {
      const value = await readFile(path, "utf8").catch(() => undefined);
      return value !== undefined && refuses(Number(value)) ? [remedy] : [];
    }),
  );
  return found.flat();
}

/** What to do about the `complaint` of a program that makes sandboxes. */
export async function namespacesRemedy(complaint: string): Promise<string> {
  const known = await refusals();
  if (known.length > 0) return known.join(" ");
  if (/proc|pivot_root|namespace|Operation not permitted/i.test(complaint)) return inContainer;
  return "Run `mayfly doctor` on this host for what it allows.";
}
