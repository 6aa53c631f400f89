/** What an invocation asks of its front end: metadata, and leases. */

import { Refused, refusal } from "../../subjects/errors.ts";
import { poolId } from "../../subjects/function.ts";
import type { Population } from "../bus/population.ts";
import type { Catalogue } from "./catalogue.ts";
import type { leasesMachine } from "./leases/machine.ts";
import { type InvocationContext, type InvocationEvent, invocationMachine, leasesOf } from "./machine.ts";

export interface Desk {
  readonly catalogue: Catalogue;
  readonly leases: Population<typeof leasesMachine>;
  readonly frontendId: string;
  readonly tickMs: number;
}

interface Acting {
  readonly context: InvocationContext;
  readonly event: InvocationEvent;
  readonly self: { send(event: InvocationEvent): void };
}

export const invocationLogic = (desk: () => Desk) =>
  invocationMachine.provide({
    actions: {
      look: ({ context: { acct, fn, qualifier }, self }: Acting) => {
        desk()
          .catalogue.look(acct, fn, qualifier)
          .then(
            (spec) => self.send({ type: "metadata.found", spec }),
            (error: unknown) => self.send({ type: "metadata.missing", refusal: reasonOf(error) }),
          );
      },
      arrive: ({ context: { spec, requestId } }: Acting) => {
        if (spec === undefined) return;
        const { leases, frontendId, tickMs } = desk();
        const key = poolId(spec);
        leases.spawn(key, { poolId: key, frontendId, spec, tickMs });
        leases.send(key, { type: "invocation.arrived", requestId });
      },
      leave: ({ context }: Acting) => {
        desk().leases.send(leasesOf(context), { type: "invocation.left", requestId: context.requestId });
      },
      finish: ({ context }: Acting) => {
        const { requestId, result } = context;
        desk().leases.send(leasesOf(context), {
          type: "invocation.finished",
          requestId,
          alive: result?.alive ?? false,
          again: result?.outcome === "refused",
        });
      },
    },
  });

const reasonOf = (error: unknown) =>
  error instanceof Refused
    ? error.refusal
    : refusal("ServiceException", error instanceof Error ? error.message : String(error));
