/** Leases are kept in the LEASES bucket, so that whoever looks knows which workers are taken and until when. */
import type { Bucket } from "../bus/storage.ts";
import { leaseMachine } from "./machine.ts";

export const leaseLogic = (leases: Bucket, failed: (error: unknown) => void) =>
  leaseMachine.provide({
    actions: {
      keepLease: ({ context: { workerId, beat, leasedAt, leaseMs } }) => {
        const lease = { workerId, zone: beat.zone, leasedAt, endsAt: leasedAt + leaseMs };
        leases.put(workerId, lease).catch(failed);
      },
      dropLease: ({ context: { workerId } }) => void leases.delete(workerId).catch(failed),
    },
  });
