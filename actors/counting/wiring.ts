/** Counting's relation to the network: front ends ask, give back and say what they hold; workers say what they run. */
import { Admit, Held, Recall, Recount, Release } from "../../subjects/counting.ts";
import { refusal } from "../../subjects/errors.ts";
import { WorkerLost } from "../../subjects/placement.ts";
import { Heartbeat } from "../../subjects/worker.ts";
import { hear, say, type Wiring } from "../bus/wiring.ts";
import type { countingMachine } from "./machine.ts";

export const countingWiring: Wiring<typeof countingMachine> = {
  hears: [
    hear(Admit, {
      endpoint: "admit",
      absent: refusal("AccessDeniedException", "no such account"),
      key: (_, { address }) => address.acct,
      toEvent: (body, { replyTo }) => ({ ...body, replyTo, type: "counting.admit" }),
    }),
    hear(Release, {
      key: (_, { address }) => address.acct,
      toEvent: (body) => ({ ...body, type: "counting.release" }),
    }),
    hear(Held, { key: (_, { address }) => address.acct, toEvent: (body) => ({ ...body, type: "counting.held" }) }),
    hear(Heartbeat, {
      toEvent: ({ running }, { address }) => ({ type: "worker.running", workerId: address.workerId, running }),
    }),
    hear(WorkerLost, { toEvent: ({ workerId }) => ({ type: "worker.lost", workerId }) }),
  ],
  says: {
    recount: () => say(Recount, {}, {}),
    recall: ({ acct, fn, atMost }) => say(Recall, { acct }, { fn, atMost }),
  },
};
