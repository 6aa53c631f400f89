/**
 * What an enclosure takes of a driver's premises before it boots: users, the plan of its network, a group, its /tmp, and
 * views of what it is shown.
 */
import type { Egress } from "../../../subjects/egress.ts";
import type { Cgroup } from "./cgroups/cgroup.ts";
import type { EnclosureSpec, Mount } from "./driver.ts";
import type { NetworkPlan } from "./egress/network.ts";
import type { Tmp } from "./host-facts.ts";
import type { PlacesOfOne } from "./late-places.ts";
import type { Premises } from "./premises.ts";
import { isReachableByAll } from "./staging.ts";

const MiB = 1024 * 1024;

type Closing = () => Promise<unknown>;

/** What a driver's own processes take that live in the sandbox's group beside the function's. */
export interface Overhead {
  readonly pids: number;
  readonly memoryMiB: number;
  /** Users of the host each sandbox has. */
  readonly users: number;
}

/** What only the driver knows. */
export interface Ways {
  readonly overhead: Overhead;
  /** Of one that asks for a network. Rejects where it can't have just this. */
  planNetwork(egress: Egress, gid: number | undefined): Promise<NetworkPlan>;
}

export interface Reserved {
  /** Empty where the worker can't become other users. */
  readonly uids: readonly number[];
  readonly cgroup: Cgroup;
  readonly tmp: Tmp;
  /** Undefined for one that is to have none. */
  readonly network: NetworkPlan | undefined;
  /** The spec's, its network's and the places for late ones, from paths the sandbox's users can walk to. */
  readonly mounts: readonly Mount[];
  readonly places: PlacesOfOne | undefined;
  /** To be done by `release` as well, before what was done earlier. */
  onRelease(closing: Closing): void;
  /** Gives everything back, the newest first and each in any case. Rejects with the first failure. */
  release(): Promise<void>;
}

/** Reserves all of it; when a part can't be had, rejects and keeps nothing. */
export async function reserve(premises: Premises, spec: EnclosureSpec, ways: Ways): Promise<Reserved> {
  const closings: Closing[] = [];
  const release = async () => {
    const failures: unknown[] = [];
    for (const closing of closings.splice(0).reverse()) await closing().catch((error) => failures.push(error));
    if (failures.length > 0) throw failures[0];
  };
  try {
    const uids = takeUids(premises, ways.overhead.users, closings);
    const { egress = [] } = spec;
    const network = egress.length === 0 ? undefined : await ways.planNetwork(egress, uids[0]);
    const cgroup = await makeCgroup(premises, spec, [ways.overhead, network?.overhead], closings);
    const tmp = await makeTmp(premises, spec.tmpMiB, closings);
    const places = await makePlaces(premises, spec, closings);
    const shown = [...spec.mounts, ...(network?.mounts ?? [])];
    const mounts = [...(await makeReachable(premises, shown, closings)), ...(places?.mounts ?? [])];
    return { uids, cgroup, tmp, network, mounts, places, release, onRelease: (closing) => void closings.push(closing) };
  } catch (error) {
    await release();
    throw error;
  }
}

function takeUids({ uids }: Premises, count: number, closings: Closing[]): number[] {
  if (!uids) return [];
  return Array.from({ length: count }, () => {
    const uid = uids.take();
    closings.push(async () => uids.giveBack(uid));
    return uid;
  });
}

async function makeCgroup(
  { cgroups }: Premises,
  spec: EnclosureSpec,
  overheads: ReadonlyArray<Pick<Overhead, "memoryMiB" | "pids"> | undefined>,
  closings: Closing[],
): Promise<Cgroup> {
  const cgroup = await cgroups.create({
    memoryBytes: overheads.reduce((sum, each) => sum + (each?.memoryMiB ?? 0), spec.memoryMiB) * MiB,
    pids: overheads.reduce((sum, each) => sum + (each?.pids ?? 0), spec.pids),
    cpus: spec.cpus,
  });
  closings.push(() => cgroup.remove());
  return cgroup;
}

async function makeTmp({ tmps }: Premises, sizeMiB: number, closings: Closing[]): Promise<Tmp> {
  if (!tmps) return { sizeMiB };
  const from = await tmps.take(sizeMiB);
  closings.push(() => tmps.drop(from));
  return { from };
}

async function makePlaces({ places }: Premises, spec: EnclosureSpec, closings: Closing[]) {
  if (!spec.latePlaces?.length) return undefined;
  if (!places) throw new Error("nothing can be placed late here: `Isolation.latePlacement` is false");
  const made = await places.make(spec.latePlaces);
  closings.push(() => made.close());
  return made;
}

/** The same views from paths a sandbox's user can walk to. */
async function makeReachable(premises: Premises, mounts: readonly Mount[], closings: Closing[]): Promise<Mount[]> {
  const { uids, staging } = premises;
  if (!uids) return [...mounts];
  const reachable: Mount[] = [];
  for (const { from, to } of mounts) {
    if (await isReachableByAll(from)) {
      reachable.push({ from, to });
      continue;
    }
    if (!staging) {
      throw new Error(
        `${from} is in a folder that other users can't walk through, and the worker has no private mounts`,
      );
    }
    reachable.push({ from: await staging.hold(from), to });
    closings.push(() => staging.release(from));
  }
  return reachable;
}
