/** What a mapping's work is given of the world. */
import type { Component } from "../bus/component.ts";
import type { WorkQueues } from "../bus/queues.ts";
import type { Sources } from "../bus/sources.ts";
import type { Bucket } from "../bus/storage.ts";

export interface Surroundings {
  readonly component: Component;
  readonly sources: Sources;
  readonly queues: Pick<WorkQueues, "store">;
  readonly triggers: Bucket;
  readonly functions: Bucket;
  /** Who works on what only one may. */
  readonly leases: Bucket;
  /** Between two renewals of a lease. */
  readonly beatMs: number;
  readonly region: string;
  /** A fresh uuid each time. */
  readonly ids: () => string;
  /** The server keeps schedules of its own. */
  readonly hasCronSchedules: boolean;
  /** Of one batch or message: how long it waits before another try, doubling from the first to the last. */
  readonly backoff: { readonly minMs: number; readonly maxMs: number };
  /** A record nobody was heard of for so long is given to another trigger process. */
  readonly ackWaitMs: number;
  /** Beside the function's own timeout, what a front end may take to find a sandbox and to start it. */
  readonly overheadMs: number;
}

/** Work of one mapping under way. Resolves once what runs has ended; nothing new is begun from the call on. */
export interface Work {
  stop(): Promise<void>;
}
