/** Which limits of a sandbox's processes are set by whom. Pure. */
import type { EnclosureSpec } from "../driver.ts";
import { allProcessLimits, COUNTED_BY_MAKER, limitedBy, PROCESS_LIMITS, seenInside } from "../process-limits.ts";
import type { FoundRuntime } from "./runtimes.ts";

/** The sandbox's first process, and what a runtime needs of the user while it makes one. */
const OWN_PROCESSES = 4;

export interface Limits {
  /** To be put before the runtime's command: what it is held to, its sandboxes are. */
  readonly before: readonly string[];
  /** As `process.rlimits`. */
  readonly byRuntime: ReadonlyArray<{ readonly type: string; readonly hard: number; readonly soft: number }>;
  /** To be put before the sandbox's command. */
  readonly inside: readonly string[];
}

/** With `isOwner` the sandbox's user namespace is made by its own user. */
export function limitsOf(
  { limits, prlimit }: Pick<FoundRuntime, "limits" | "prlimit">,
  spec: Pick<EnclosureSpec, "pids" | "mounts">,
  isOwner: boolean,
): Limits {
  const processes = spec.pids + OWN_PROCESSES;
  if (limits === "as root" && isOwner && prlimit !== undefined) {
    return { before: limitedBy(prlimit, allProcessLimits, processes), byRuntime: [], inside: [] };
  }
  const limit = (type: string, most: number) => ({ type: `RLIMIT_${type}`, hard: most, soft: most });
  const isLate = limits === "early" && !isOwner;
  const early = allProcessLimits.filter((name) => !(isLate && COUNTED_BY_MAKER.includes(name)));
  return {
    before: [],
    byRuntime: [...early.map((name) => limit(name.toUpperCase(), PROCESS_LIMITS[name])), limit("NPROC", processes)],
    inside: isLate && prlimit !== undefined && seenInside(prlimit, spec) ? limitedBy(prlimit, COUNTED_BY_MAKER) : [],
  };
}
