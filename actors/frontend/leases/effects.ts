/** Leases tell the invocations of this process directly: both live in the front end, no message is needed. */
import { leasesMachine } from "./machine.ts";
import type { Told } from "./policy.ts";

export const leasesLogic = (tell: (told: Told) => void) =>
  leasesMachine.provide({
    actions: {
      tell: ({ context }) => {
        for (const each of context.told) tell(each);
      },
    },
  });
