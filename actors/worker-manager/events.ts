/** What a pool hears, and what it decides to say. */
import type { Refusal } from "../../subjects/errors.ts";
import type { FunctionSpec } from "../../subjects/function.ts";
import type { HostedSandbox } from "../../subjects/worker.ts";

export type PoolEvent =
  | { type: "pool.want"; frontendId: string; count: number; ahead?: true; spec: FunctionSpec }
  | { type: "pool.return"; frontendId: string; sandboxId: string; alive: boolean }
  | { type: "frontend.held"; frontendId: string }
  | { type: "sandbox.placed"; sandboxId: string; workerId: string }
  | { type: "sandbox.notPlaced"; sandboxId: string; refusal: Refusal }
  | { type: "sandbox.created"; sandboxId: string }
  | { type: "sandbox.notCreated"; sandboxId: string; refusal: Refusal }
  | {
      type: "sandbox.reported";
      sandboxId: string;
      workerId: string;
      state: "idle" | "failed" | "dead";
      grantedTo?: string | undefined;
      functionError: string | undefined;
      hostFault?: string | undefined;
    }
  | { type: "worker.lost"; workerId: string }
  | { type: "worker.hosted"; workerId: string; sandboxes: readonly HostedSandbox[] }
  | { type: "pool.tick" };

export type Decision =
  | { type: "grant"; poolId: string; frontendId: string; sandboxId: string; workerId: string }
  | { type: "startFailed"; poolId: string; frontendId: string; refused?: Refusal; functionError?: string }
  | { type: "place"; poolId: string; sandboxId: string; spec: FunctionSpec; avoid: readonly string[] }
  | {
      type: "create";
      poolId: string;
      sandboxId: string;
      workerId: string;
      wantedBy: string | undefined;
      spec: FunctionSpec;
    }
  | { type: "stop"; sandboxId: string; workerId: string; reason: string };
