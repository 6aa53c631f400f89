/** The worker manager's relation to the network: front ends want and return, placement places, workers create and report. */
import { Held, Recount } from "../../subjects/counting.ts";
import { Place, Placed, WorkerLost } from "../../subjects/placement.ts";
import { CreateSandbox, Hosted, SandboxReport, StopSandbox } from "../../subjects/worker.ts";
import { Grant, Retire, Return, StartFailed, Want } from "../../subjects/worker-manager.ts";
import { hear, say, type Wiring } from "../bus/wiring.ts";
import type { poolMachine } from "./machine.ts";

const PLACE_ANSWER_MS = 3000;
const CREATE_ANSWER_MS = 3000;

export const poolWiring: Wiring<typeof poolMachine> = {
  hears: [
    hear(Want, {
      key: (_, { address }) => address.poolId,
      absent: "spawn",
      toEvent: (body) => ({ ...body, type: "pool.want" }),
    }),
    hear(Return, {
      key: (_, { address }) => address.poolId,
      toEvent: (body) => ({ ...body, type: "pool.return" }),
    }),
    hear(Retire, { key: (_, { address }) => address.poolId, toEvent: () => ({ type: "pool.retire" }) }),
    hear(Held, {
      key: ({ poolId }) => poolId,
      toEvent: ({ frontendId }) => ({ type: "frontend.held", frontendId }),
    }),
    hear(SandboxReport, {
      key: ({ poolId }) => poolId,
      toEvent: ({ state, grantedTo, functionError, hostFault }, { address }) => ({
        type: "sandbox.reported",
        ...address,
        state,
        grantedTo,
        functionError,
        hostFault,
      }),
    }),
    hear(WorkerLost, { toEvent: ({ workerId }) => ({ type: "worker.lost", workerId }) }),
    hear(Hosted, {
      key: (_, { address }) => address.poolId,
      absent: "spawn",
      toEvent: ({ sandboxes }, { address }) => ({ type: "worker.hosted", workerId: address.workerId, sandboxes }),
    }),
  ],
  says: {
    grant: ({ frontendId, poolId, sandboxId, workerId }) => say(Grant, { frontendId, poolId }, { sandboxId, workerId }),
    startFailed: ({ frontendId, poolId, refused, functionError }) =>
      say(StartFailed, { frontendId, poolId }, { refused, functionError }),
    stop: ({ workerId, sandboxId, reason }) => say(StopSandbox, { workerId, sandboxId }, { reason }),
    place: {
      timeoutMs: PLACE_ANSWER_MS,
      request: ({ poolId, spec: { memoryMiB, runtime, architecture }, avoid }) =>
        say(Place, {}, { poolId, memoryMiB, runtime, architecture, avoid: [...avoid] }),
      answered: (body, { sandboxId }) => ({
        type: "sandbox.placed",
        sandboxId,
        workerId: Placed.parse(body).workerId,
      }),
      failed: (refusal, { sandboxId }) => ({ type: "sandbox.notPlaced", sandboxId, refusal }),
    },
    create: {
      timeoutMs: CREATE_ANSWER_MS,
      request: ({ workerId, sandboxId, poolId, wantedBy, spec }) =>
        say(CreateSandbox, { workerId }, { sandboxId, poolId, ...(wantedBy === undefined ? {} : { wantedBy }), spec }),
      answered: (_, { sandboxId }) => ({ type: "sandbox.created", sandboxId }),
      failed: (refusal, { sandboxId }) => ({ type: "sandbox.notCreated", sandboxId, refusal }),
    },
  },
};

export const askWhatIsHosted = () => say(Recount, {}, {});
