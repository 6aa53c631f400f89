/** The leases' relation to the network. */
import { Admit, Admitted, Held, Recall, Recount, Release } from "../../../subjects/counting.ts";
import { WorkerLost } from "../../../subjects/placement.ts";
import { Grant, Return, StartFailed, Want } from "../../../subjects/worker-manager.ts";
import { hear, say, type Wiring } from "../../bus/wiring.ts";
import type { LeasesInput, leasesMachine } from "./machine.ts";

const ADMIT_ANSWER_MS = 3000;

export function leasesWiring(frontendId: string): Wiring<typeof leasesMachine> {
  const holder = ({ poolId, spec: { acct, fn } }: LeasesInput) => ({ acct, fn, frontendId, poolId });
  return {
    hears: [
      hear(Grant, {
        at: { frontendId },
        key: (_, { address }) => address.poolId,
        toEvent: (sandbox) => ({ type: "sandbox.granted", sandbox }),
      }),
      hear(StartFailed, {
        at: { frontendId },
        key: (_, { address }) => address.poolId,
        toEvent: ({ refused, functionError }) => ({ type: "sandbox.failed", refused, functionError }),
      }),
      hear(Recall, {
        toEvent: ({ fn, atMost }, { address }) => ({ type: "leases.recalled", acct: address.acct, fn, atMost }),
      }),
      hear(Recount, { toEvent: () => ({ type: "leases.recount" }) }),
      hear(WorkerLost, { toEvent: ({ workerId }) => ({ type: "worker.lost", workerId }) }),
    ],
    says: {
      ask: {
        timeoutMs: ADMIT_ANSWER_MS,
        request: ({ leases, count }) => say(Admit, leases.spec, { ...holder(leases), count }),
        answered: (body, { count }) => {
          const { granted, refused } = Admitted.parse(body);
          return { type: "tokens.granted", asked: count, granted, refused };
        },
        failed: (refused, { count }) => ({ type: "tokens.granted", asked: count, granted: 0, refused }),
      },
      release: ({ leases, count }) => say(Release, leases.spec, { ...holder(leases), count }),
      held: ({ leases, count }) => say(Held, leases.spec, { ...holder(leases), count }),
      want: ({ leases: { poolId, spec }, count, ahead }) =>
        say(Want, { poolId }, { frontendId, count, ...(ahead ? { ahead } : {}), spec }),
      giveBack: ({ leases: { poolId }, sandbox: { sandboxId }, alive }) =>
        say(Return, { poolId }, { frontendId, sandboxId, alive }),
    },
  };
}
