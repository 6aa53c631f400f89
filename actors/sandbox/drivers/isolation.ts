/** What a driver can say about itself after it has tried. */
import { text } from "node:stream/consumers";
import { INTERNET } from "../../../subjects/egress.ts";
import { BootFailed, type Enclosure, type Isolation, IsolationUnavailable, type SandboxDriver } from "./driver.ts";
import { EgressUnavailable } from "./egress/network.ts";
import type { Premises } from "./premises.ts";

/** How the trial sandbox ends when it saw what was placed in it, and when it didn't. */
const SAW = 8;
const SAW_NOT = 7;

/**
 * Runs one real sandbox to its end, and where there are places tells whether code can be placed in one that runs.
 * Throws `IsolationUnavailable` with what the host refused.
 */
export async function tryOut(
  driver: SandboxDriver,
  { places, host }: Premises,
  remedyFor: (complaint: string) => Promise<string>,
): Promise<{ latePlacement: boolean }> {
  const enclosure = await driver.create({
    id: "probe",
    memoryMiB: 64,
    cpus: 1,
    pids: 16,
    tmpMiB: 1,
    mounts: [],
    ...(places ? { latePlaces: ["/opt"] } : {}),
    command: ["/bin/sh", "-c", `read -r _ <&3; [ -e /opt/passwd ] && exit ${SAW}; exit ${SAW_NOT}`],
  });
  try {
    const booted = await enclosure.boot();
    if (places) await enclosure.placeCode([{ from: host.etc, to: "/opt" }]).catch(() => {});
    booted.channel.write("\n");
    const [exit, complaint] = await Promise.all([booted.exited, text(booted.stderr)]);
    if (exit.code !== SAW && exit.code !== SAW_NOT) {
      const missing = complaint.trim() || `a trial sandbox ended with ${exit.signal ?? exit.code}`;
      throw new IsolationUnavailable(missing, await remedyFor(missing));
    }
    return { latePlacement: exit.code === SAW };
  } catch (error) {
    if (!(error instanceof BootFailed)) throw error;
    throw new IsolationUnavailable(error.message, await remedyFor(error.message));
  } finally {
    await enclosure.destroy();
  }
}

/** As often as a sandbox may fail for another reason than its network. */
const TRIES = 2;

/** Runs one more to its end, with a network. Returns why that can't be had, where it can't: the worker holds to it. */
export async function tryNetwork(driver: SandboxDriver, tries = TRIES): Promise<EgressUnavailable | undefined> {
  let enclosure: Enclosure | undefined;
  try {
    enclosure = await driver.create({
      ...{ id: "probe-network", memoryMiB: 64, cpus: 1, pids: 16, tmpMiB: 1, mounts: [], egress: [INTERNET] },
      command: ["/bin/sh", "-c", "exit 0"],
    });
    await (await enclosure.boot()).exited;
    return undefined;
  } catch (error) {
    if (error instanceof EgressUnavailable) return error;
    if (tries > 1) return await tryNetwork(driver, tries - 1);
    const why = error instanceof Error ? error.message : String(error);
    return new EgressUnavailable(why, "This is unexpected: please report it.");
  } finally {
    await enclosure?.destroy();
  }
}

/** What the premises allow of isolation, for a driver that adds what only it knows. */
export function isolationOf(
  premises: Premises,
  own: Pick<Isolation, "driver" | "namespaces" | "latePlacement" | "egress"> & {
    /** What to say where there is no late placement, other than that the worker lacks private mounts. */
    readonly unlessPlaced?: string;
    /** How processes are limited where there are no groups. */
    readonly pidsOtherwise: "rlimit" | "none";
    readonly lacks: readonly string[];
  },
): Isolation {
  const { limits, freezes } = premises.cgroups;
  return {
    driver: own.driver,
    namespaces: own.namespaces,
    seccomp: true,
    limits: {
      memory: limits.memory ? "cgroup" : "none",
      pids: limits.pids ? "cgroup" : own.pidsOtherwise,
      cpu: limits.cpu ? "cgroup" : "none",
    },
    uidPerSandbox: premises.uids !== undefined,
    ...(own.egress === undefined ? {} : { egress: own.egress }),
    freezes,
    latePlacement: own.latePlacement,
    ownRoot: true,
    lacks: [...lacksOf(premises, own), ...own.lacks],
  };
}

function lacksOf(
  { cgroups, limitsRemedy, uids, tmps }: Premises,
  {
    latePlacement,
    unlessPlaced = "No sandbox is booted before it is needed. Start the worker in a mount namespace of its own.",
  }: { readonly latePlacement: boolean; readonly unlessPlaced?: string },
): string[] {
  const names = (["memory", "cpu"] as const).filter((name) => !cgroups.limits[name]).join(" and ");
  return [
    ...(names
      ? [
          `No limit on ${names}: ${cgroups.backEnd === "none" ? "control groups can't be made here" : "the control groups here don't have it"}. ${limitsRemedy}`,
        ]
      : []),
    ...(cgroups.freezes
      ? []
      : [
          "Idle sandboxes are not frozen: what a function leaves running computes on. That takes control groups of the worker's own.",
        ]),
    ...(latePlacement ? [] : [unlessPlaced]),
    ...(uids ? [] : ["All sandboxes are the same user of the host. Run the worker as root to give each its own."]),
    ...(tmps
      ? []
      : ["/tmp is not kept when a sandbox starts again. Start the worker in a mount namespace of its own."]),
  ];
}
