/** What a worker does and sees: it makes sandboxes, and reads from them who is idle and who runs for whom. */
import type { FunctionSpec } from "../../subjects/function.ts";
import type { Heartbeat, HostedSandbox } from "../../subjects/worker.ts";
import { type WorkerEvent, workerMachine } from "./machine.ts";
import type { IdleSandbox } from "./policy.ts";

/** The sandboxes of this process, as the worker needs them: given by whoever puts worker and sandboxes together. */
export interface HostedSandboxes {
  /** Makes a sandbox; one that exists under the id is left alone. */
  create(sandboxId: string, poolId: string, spec: FunctionSpec, wantedBy?: string): void;
  /** Those that may go to make room for another pool; a pool's own are worth more to it than a new one. */
  idle(exceptOf: string): readonly IdleSandbox[];
  /** Those in which an invocation runs. */
  busy(): readonly string[];
  load(): Pick<Heartbeat, "busyMiB" | "idleMiB" | "running">;
  /** By pool. */
  list(): ReadonlyMap<string, readonly HostedSandbox[]>;
}

export const workerLogic = (sandboxes: HostedSandboxes) =>
  workerMachine.provide({
    actions: {
      host: ({ event }: { event: WorkerEvent }) => {
        if (event.type !== "worker.create") return;
        sandboxes.create(event.sandboxId, event.poolId, event.spec, event.wantedBy);
      },
    },
  });
