/** What a pool knows: its sandboxes, and who wants how many. Plain data, from which policy.ts decides. */
import type { Refusal } from "../../subjects/errors.ts";
import type { FunctionSpec } from "../../subjects/function.ts";
import type { HostedSandbox } from "../../subjects/worker.ts";

/** A sandbox as the pool believes it to be. The sandbox itself is the truth; this is a hint. */
export type Slot =
  | { readonly at: "placing" }
  /** There is room for it, and nobody wants it yet. */
  | { readonly at: "placed"; readonly workerId: string; readonly ticks: number }
  /** `wantedBy`: its worker grants it to that front end. */
  | {
      readonly at: "starting";
      readonly workerId: string;
      readonly ticks: number;
      readonly wantedBy: string | undefined;
    }
  | { readonly at: "idle"; readonly workerId: string }
  | { readonly at: "held"; readonly workerId: string; readonly frontendId: string };

export interface Book {
  readonly poolId: string;
  /** Makes sandbox ids unique over restarts of the worker manager. */
  readonly epoch: string;
  readonly spec: FunctionSpec | null;
  /** In the order of last use, the most recently used last. */
  readonly slots: ReadonlyMap<string, Slot>;
  /** Who wants how many, in the order of asking. */
  readonly wants: ReadonlyMap<string, number>;
  /** Ticks since each front end was heard. */
  readonly silence: ReadonlyMap<string, number>;
  readonly started: number;
  /** Workers that just refused, forgotten at the next tick. */
  readonly avoid: readonly string[];
  /** Nobody had room: the next attempt is at the next tick, not at once. */
  readonly resting: boolean;
  /** Ticks for which somebody has been waiting with nothing starting and nothing running. */
  readonly stuckTicks: number;
  /** What the last attempt to place one came to; `null` when it came to something. */
  readonly notPlaced: Refusal | null;
  /** Starts, one after the other, that came to nothing by the fault of their hosts. */
  readonly hostFaults: number;
  readonly limits: PoolLimits;
}

export interface PoolLimits {
  /** Sandboxes being started at a time: more would only slow each other down. */
  readonly starting: number;
  /** Ticks after which a front end that says nothing is taken for gone. */
  readonly silentTicks: number;
  /** Ticks after which a sandbox whose start nobody reported is taken for lost; a late report brings it back. */
  readonly startTicks: number;
  /** Ticks after which a want that can't be met anywhere is refused. */
  readonly stuckTicks: number;
  /** The same where no worker could ever run it: as long as the news of a runtime that is being installed may take. */
  readonly unfitTicks: number;
}

export const emptyBook = (poolId: string, epoch: string, limits: PoolLimits): Book => ({
  poolId,
  epoch,
  spec: null,
  slots: new Map(),
  wants: new Map(),
  silence: new Map(),
  started: 0,
  avoid: [],
  resting: false,
  stuckTicks: 0,
  notPlaced: null,
  hostFaults: 0,
  limits,
});

export const isEmpty = ({ slots, wants }: Book): boolean => slots.size === 0 && wants.size === 0;

/** Holds what was found busy, until whoever really holds it gives it back. */
export const UNKNOWN = "unknown";

/** One that a worker says it hosts. */
export function slotFound(workerId: string, state: HostedSandbox["state"]): Slot {
  if (state === "init") return { at: "starting", workerId, ticks: 0, wantedBy: undefined };
  return state === "idle" ? { at: "idle", workerId } : { at: "held", workerId, frontendId: UNKNOWN };
}
