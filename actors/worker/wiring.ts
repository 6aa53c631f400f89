/** A worker's relation to the network. What its sandboxes are doing is told by `hosted`, read when it is needed. */
import { Recount } from "../../subjects/counting.ts";
import type { Architecture } from "../../subjects/function.ts";
import {
  CreateSandbox,
  DrainWorker,
  GivenUp,
  Heartbeat,
  Hosted,
  LeaseWorker,
  SandboxReport,
  StopSandbox,
} from "../../subjects/worker.ts";
import { hear, say, type Wiring } from "../bus/wiring.ts";
import type { HostedSandboxes } from "./effects.ts";
import type { workerMachine } from "./machine.ts";

export interface WorkerFacts {
  readonly workerId: string;
  readonly host: string;
  readonly isolation: string;
  readonly architecture: Architecture;
  /** What it can boot now: a runtime may be installed while it runs. */
  readonly runtimes: () => readonly string[];
}

export function workerWiring(facts: WorkerFacts, sandboxes: HostedSandboxes): Wiring<typeof workerMachine> {
  const at = { workerId: facts.workerId };
  return {
    hears: [
      hear(LeaseWorker, {
        at,
        endpoint: "lease",
        toEvent: ({ endsAt }, { replyTo }) => ({ type: "worker.lease", endsAt, replyTo }),
      }),
      hear(CreateSandbox, {
        at,
        endpoint: "create",
        toEvent: (body, { replyTo }) => ({
          ...body,
          idle: sandboxes.idle(body.poolId),
          replyTo,
          type: "worker.create",
        }),
      }),
      hear(DrainWorker, { at, toEvent: ({ reason }) => ({ type: "worker.drain", reason }) }),
      hear(SandboxReport, {
        at,
        toEvent: ({ state }, { address }) => ({ type: "sandbox.reported", sandboxId: address.sandboxId, state }),
      }),
      hear(GivenUp, {
        at,
        endpoint: "given-up",
        toEvent: ({ silentSince }, { replyTo }) => ({
          type: "worker.givenUp",
          silentSince,
          busy: sandboxes.busy(),
          replyTo,
        }),
      }),
      hear(Recount, { toEvent: () => ({ type: "worker.recount" }) }),
    ],
    says: {
      heartbeat: ({ worker, state }) =>
        say(Heartbeat, at, {
          zone: worker.zone,
          host: facts.host,
          state,
          runtimes: [...facts.runtimes()],
          isolation: facts.isolation,
          architecture: facts.architecture,
          capacityMiB: worker.capacityMiB,
          sandboxes: Object.keys(worker.sandboxes).length,
          ...sandboxes.load(),
        }),
      hosted: () =>
        [...sandboxes.list()].map(([poolId, hosted]) => say(Hosted, { ...at, poolId }, { sandboxes: [...hosted] })),
      stop: ({ sandboxId, reason, atOnce }) =>
        say(StopSandbox, { ...at, sandboxId }, { reason, ...(atOnce ? { atOnce } : {}) }),
    },
  };
}
