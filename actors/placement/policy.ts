/** Where the next sandbox goes. */

/** A worker as it stands. `health` and `lease` are the machine's states. */
export interface Candidate {
  readonly workerId: string;
  readonly zone: string;
  readonly lease: "offered" | "leasing" | "leased" | "draining";
  readonly health: "well" | "suspect";
  readonly runtimes: readonly string[];
  readonly capacityMiB: number;
  /** Memory of busy sandboxes; idle ones can be evicted, so theirs counts as free, though less gladly. */
  readonly busyMiB: number;
  readonly idleMiB: number;
  readonly promisedMiB: number;
}

export interface PlaceRequest {
  readonly memoryMiB: number;
  readonly runtime: string;
  readonly avoid: readonly string[];
}

const freeMiB = ({ capacityMiB, busyMiB, idleMiB, promisedMiB }: Candidate) =>
  capacityMiB - busyMiB - idleMiB - promisedMiB;

/**
 * The worker for a sandbox, or `undefined` when none can take it. Zones are kept level first, so that the loss of one
 * takes as little as possible; within a zone free memory beats evicting, and a worker on lease beats taking a new lease.
 */
export function chooseWorker(candidates: readonly Candidate[], request: PlaceRequest): Candidate | undefined {
  const usedByZone = new Map<string, number>();
  for (const each of candidates) {
    const used = each.busyMiB + each.idleMiB + each.promisedMiB;
    usedByZone.set(each.zone, (usedByZone.get(each.zone) ?? 0) + used);
  }
  const fits = candidates.filter(
    (each) =>
      each.health === "well" &&
      each.lease !== "draining" &&
      !request.avoid.includes(each.workerId) &&
      each.runtimes.includes(request.runtime) &&
      freeMiB(each) + each.idleMiB >= request.memoryMiB,
  );
  const rank = (each: Candidate): readonly number[] => [
    freeMiB(each) >= request.memoryMiB ? 0 : 1,
    usedByZone.get(each.zone) ?? 0,
    each.lease === "offered" ? 1 : 0,
    -freeMiB(each),
  ];
  return fits.sort((a, b) => compare(rank(a), rank(b)))[0];
}

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, index) => value !== b[index]);
  return at === -1 ? 0 : (a[at] ?? 0) - (b[at] ?? 0);
}

/** Leases last six to ten hours, spread so that workers taken together don't leave together. `random` is in [0, 1). */
export function leaseLengthMs(random: number): number {
  const HOUR_MS = 3_600_000;
  return Math.round((6 + 4 * random) * HOUR_MS);
}
