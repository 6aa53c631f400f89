/** What the bubblewrap driver can say about itself after it has tried. */
import { text } from "node:stream/consumers";
import { INTERNET } from "../../../../subjects/egress.ts";
import { BootFailed, type EnclosureSpec, type Isolation, IsolationUnavailable, type SandboxDriver } from "../driver.ts";
import { EgressUnavailable } from "../egress/network.ts";
import type { Premises } from "./premises.ts";
import { namespaces } from "./profile.ts";
import { namespacesRemedy } from "./remedies.ts";

/** Runs one real sandbox to its end. Throws `IsolationUnavailable` with what the host refused. */
export async function tryOut(driver: SandboxDriver, egress?: EnclosureSpec["egress"]): Promise<void> {
  const enclosure = await driver.create({
    id: egress === undefined ? "probe" : "probe-network",
    memoryMiB: 64,
    cpus: 1,
    pids: 16,
    tmpMiB: 1,
    mounts: [],
    ...(egress === undefined ? {} : { egress }),
    command: ["/bin/sh", "-c", "exit 7"],
  });
  try {
    const booted = await enclosure.boot();
    const [exit, complaint] = await Promise.all([booted.exited, text(booted.stderr)]);
    if (exit.code !== 7) {
      const missing = complaint.trim() || `a trial sandbox ended with ${exit.signal ?? exit.code}`;
      throw new IsolationUnavailable(missing, await namespacesRemedy(missing));
    }
  } catch (error) {
    if (!(error instanceof BootFailed)) throw error;
    throw new IsolationUnavailable(error.message, await namespacesRemedy(error.message));
  } finally {
    await enclosure.destroy();
  }
}

/** Runs one more, with a network. Returns why that can't be had, where it can't. */
export async function tryNetwork(driver: SandboxDriver): Promise<EgressUnavailable | undefined> {
  try {
    await tryOut(driver, [INTERNET]);
    return undefined;
  } catch (error) {
    if (error instanceof EgressUnavailable) return error;
    const why = error instanceof Error ? error.message : String(error);
    return new EgressUnavailable(why, "This is unexpected: please report it.");
  }
}

export function isolationOf(premises: Premises, networkless: EgressUnavailable | undefined): Isolation {
  const { limits } = premises.cgroups;
  const ownUsers = premises.uids !== undefined;
  return {
    driver: "bubblewrap",
    namespaces,
    seccomp: true,
    limits: {
      memory: limits.memory ? "cgroup" : "none",
      pids: limits.pids ? "cgroup" : premises.prlimit ? "rlimit" : "none",
      cpu: limits.cpu ? "cgroup" : "none",
    },
    uidPerSandbox: ownUsers,
    ...(networkless === undefined ? { egress: premises.networks.way } : {}),
    lacks: [...lacksOf(premises), ...(networkless === undefined ? [] : [networkless.message])],
  };
}

function lacksOf({ cgroups, uids, tmps, prlimit, bwrap }: Premises): string[] {
  const names = (["memory", "cpu"] as const).filter((name) => !cgroups.limits[name]).join(" and ");
  return [
    ...(names
      ? [
          `No limit on ${names}: control groups can't be made here. Run the worker as root, or in a scope of its own: systemd-run --user --scope -p Delegate=yes …`,
        ]
      : []),
    ...(uids ? [] : ["All sandboxes are the same user of the host. Run the worker as root to give each its own."]),
    ...(tmps
      ? []
      : ["/tmp is not kept when a sandbox starts again. Start the worker in a mount namespace of its own."]),
    ...(bwrap.isTheirs
      ? [
          "Functions can keep this worker from starting sandboxes, because bubblewrap belongs to the user they run as. Install it for all users, or start the worker in a mount namespace of its own.",
        ]
      : []),
    ...(prlimit
      ? []
      : ["Processes, open files and core dumps are not limited: prlimit was not found. Install util-linux."]),
  ];
}
