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
import type { OwnMount } from "./own-mount.ts";
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

/** Users, and perhaps a group, that were made before it was known for whom; the group has no limits yet. */
export interface Berth {
  /** Empty where the worker can't become other users. */
  readonly uids: readonly number[];
  readonly cgroup: Cgroup | undefined;
  /** Gives all of it back, and ends what is in the group. */
  close(): Promise<void>;
}

/** What only the driver knows. */
export interface Ways<Made extends Berth> {
  readonly overhead: Overhead;
  /** Used instead of new users, and of a new group. */
  readonly berth: Made | undefined;
  /** Of one that asks for a network. Rejects where it can't have just this. */
  planNetwork(egress: Egress, gid: number | undefined): Promise<NetworkPlan>;
}

export interface Reserved<Made extends Berth = Berth> {
  /** Empty where the worker can't become other users. */
  readonly uids: readonly number[];
  readonly cgroup: Cgroup;
  /** Where these were made beforehand. */
  readonly berth: Made | undefined;
  readonly tmp: Tmp;
  /** Mounted for it alone: to be shown when a life begins. */
  readonly ownMounts: readonly OwnMount[];
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
export async function reserve<Made extends Berth>(
  premises: Premises,
  spec: EnclosureSpec,
  ways: Ways<Made>,
): Promise<Reserved<Made>> {
  const closings: Closing[] = [];
  const release = async () => {
    const failures: unknown[] = [];
    for (const closing of closings.splice(0).reverse()) await closing().catch((error) => failures.push(error));
    if (failures.length > 0) throw failures[0];
  };
  try {
    const { berth } = ways;
    if (berth) closings.push(() => berth.close());
    const uids = berth?.uids ?? takeUids(premises, ways.overhead.users, closings);
    const { egress = [] } = spec;
    const network = egress.length === 0 ? undefined : await ways.planNetwork(egress, uids[0]);
    const shown = [...spec.mounts, ...(network?.mounts ?? [])];
    const [cgroup, ownTmp, places, reachable] = await all(
      makeCgroup(premises, spec, [ways.overhead, network?.overhead], berth?.cgroup, closings),
      takeTmp(premises, spec.tmpMiB, closings),
      makePlaces(premises, spec, closings),
      makeReachable(premises, shown, closings),
    );
    const mounts = [...reachable, ...(places?.mounts ?? [])];
    const tmp = ownTmp ? { from: ownTmp.path } : { sizeMiB: spec.tmpMiB };
    const ownMounts = [ownTmp, places?.own].filter((each) => each !== undefined);
    const onRelease = (closing: Closing) => void closings.push(closing);
    return { uids, cgroup, berth, tmp, ownMounts, network, mounts, places, release, onRelease };
  } catch (error) {
    await release();
    throw error;
  }
}

/** As `Promise.all`, but rejects only once each is settled: what they made is known then. */
async function all<T extends readonly unknown[]>(...work: { readonly [K in keyof T]: Promise<T[K]> }): Promise<T> {
  await Promise.allSettled(work);
  return Promise.all(work) as unknown as Promise<T>;
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
  made: Cgroup | undefined,
  closings: Closing[],
): Promise<Cgroup> {
  const limits = {
    memoryBytes: overheads.reduce((sum, each) => sum + (each?.memoryMiB ?? 0), spec.memoryMiB) * MiB,
    pids: overheads.reduce((sum, each) => sum + (each?.pids ?? 0), spec.pids),
    cpus: spec.cpus,
  };
  if (made) {
    await made.limit(limits);
    return made;
  }
  const cgroup = await cgroups.create(limits);
  closings.push(() => cgroup.remove());
  return cgroup;
}

async function takeTmp({ tmps }: Premises, sizeMiB: number, closings: Closing[]): Promise<OwnMount | undefined> {
  const tmp = await tmps?.take(sizeMiB);
  if (tmp) closings.push(() => tmp.end());
  return tmp;
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
  return all(
    ...mounts.map(async ({ from, to }) => {
      if (isReachableByAll(from)) return { from, to };
      if (!staging) {
        throw new Error(
          `${from} is in a folder that other users can't walk through, and the worker has no private mounts`,
        );
      }
      const view = await staging.hold(from);
      closings.push(() => view.release());
      return { from: view.path, to };
    }),
  );
}
