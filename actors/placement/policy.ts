/** Where the next sandbox goes. */
import { type Refusal, refusal } from "../../subjects/errors.ts";
import type { Architecture } from "../../subjects/function.ts";

/** A worker as it stands. `health` and `lease` are the machine's states. */
export interface Candidate {
  readonly workerId: string;
  readonly zone: string;
  readonly lease: "offered" | "leasing" | "leased" | "draining";
  readonly health: "well" | "suspect";
  readonly runtimes: readonly string[];
  readonly architecture: Architecture;
  readonly capacityMiB: number;
  /** Memory of busy sandboxes; idle ones can be evicted, so theirs counts as free, though less gladly. */
  readonly busyMiB: number;
  readonly idleMiB: number;
  readonly promisedMiB: number;
}

export interface PlaceRequest {
  readonly memoryMiB: number;
  readonly runtime: string;
  readonly architecture: Architecture;
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
      canRun(each, request) &&
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

/** Why no worker was chosen: for want of room, or because none could ever run it. */
export function whyNone(candidates: readonly Candidate[], request: PlaceRequest): Refusal {
  const { runtime, architecture } = request;
  const able = candidates.filter((each) => each.architecture === architecture);
  if (candidates.length === 0 || able.some((each) => canRun(each, request)))
    return refusal("NoRoom", "no worker has room for it");
  if (able.length === 0) {
    const there = [...new Set(candidates.map((each) => each.architecture))].join(", ");
    return refusal(
      "InvalidRuntimeException",
      `no worker runs code for ${architecture}; there are workers for ${there}`,
    );
  }
  return refusal(
    "InvalidRuntimeException",
    `no worker has the runtime ${runtime}; on the host of one: mayfly runtime install ${installable(runtime)}`,
  );
}

/** What the command takes: Node.js is fetched by its name, a Python is in a folder, and so is one that somebody made. */
function installable(runtime: string): string {
  if (runtime.startsWith("nodejs")) return runtime;
  return runtime.startsWith("python") ? `${runtime} --prefix <folder>` : "<folder>";
}

const canRun = ({ runtimes, architecture }: Candidate, request: PlaceRequest): boolean =>
  architecture === request.architecture && runtimes.includes(request.runtime);

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, index) => value !== b[index]);
  return at === -1 ? 0 : (a[at] ?? 0) - (b[at] ?? 0);
}

/** Leases last six to ten hours, spread so that workers taken together don't leave together. `random` is in [0, 1). */
export function leaseLengthMs(random: number): number {
  const HOUR_MS = 3_600_000;
  return Math.round((6 + 4 * random) * HOUR_MS);
}
