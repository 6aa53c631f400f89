/** Leases are kept in the LEASES bucket, so that whoever looks knows which workers are taken and until when. */
import type { Clock } from "../bus/port.ts";
import type { KeptLeases } from "./kept-leases.ts";
import { type LeaseContext, leaseMachine } from "./machine.ts";

export const leaseLogic = (kept: KeptLeases, clock: Clock) =>
  leaseMachine.provide({
    actions: {
      keepLease: ({ context }) => kept.keep({ ...lease(context), endsAt: context.leasedAt + context.leaseMs }),
      keepLoss: ({ context }) =>
        kept.keep({ ...lease(context), endsAt: clock.now() + context.leaseMs, silentSince: context.heardAt }),
      dropLease: ({ context: { workerId } }) => kept.drop(workerId),
    },
  });

const lease = ({ workerId, beat, leasedAt }: LeaseContext) => ({ workerId, zone: beat?.zone ?? "", leasedAt });
