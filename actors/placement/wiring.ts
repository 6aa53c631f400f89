/** Placement's relation to the network. A place request goes to the worker that policy chooses among all of them. */
import { Place, WorkerLost } from "../../subjects/placement.ts";
import { DrainWorker, GivenUp, Heartbeat, LeaseWorker } from "../../subjects/worker.ts";
import { refusalSaid } from "../bus/replies.ts";
import { hear, say, type Wiring } from "../bus/wiring.ts";
import type { leaseMachine } from "./machine.ts";
import { type Candidate, chooseWorker, leaseLengthMs, whyNone } from "./policy.ts";

const LEASE_ANSWER_MS = 1000;
const decoder = new TextDecoder();

export function placementWiring(
  candidates: () => readonly Candidate[],
  random: () => number,
): Wiring<typeof leaseMachine> {
  return {
    hears: [
      hear(Heartbeat, {
        key: (_, { address }) => address.workerId,
        absent: "spawn",
        toEvent: (beat, { at }) => ({ type: "worker.beat", beat, at }),
      }),
      hear(Place, {
        endpoint: "place",
        absent: ({ message, replyTo }) =>
          refusalSaid(replyTo ?? "", whyNone(candidates(), Place.body.parse(JSON.parse(decoder.decode(message.data))))),
        key: (body) => chooseWorker(candidates(), body)?.workerId ?? "nobody",
        toEvent: ({ memoryMiB }, { replyTo, at }) => ({
          type: "worker.place",
          memoryMiB,
          replyTo,
          at,
          leaseMs: leaseLengthMs(random()),
        }),
      }),
    ],
    says: {
      askLease: {
        timeoutMs: LEASE_ANSWER_MS,
        request: ({ workerId, endsAt }) => say(LeaseWorker, { workerId }, { endsAt }),
        answered: () => ({ type: "lease.accepted" }),
        failed: (refused) => ({ type: "lease.refused", refusal: refused }),
      },
      drain: ({ workerId, reason }) => say(DrainWorker, { workerId }, { reason }),
      givenUp: {
        timeoutMs: LEASE_ANSWER_MS,
        request: ({ workerId, silentSince }) => say(GivenUp, { workerId }, { silentSince }),
        answered: () => ({ type: "worker.told" }),
        failed: () => ({ type: "worker.notTold" }),
      },
      lost: ({ workerId }) => say(WorkerLost, {}, { workerId }),
    },
  };
}
