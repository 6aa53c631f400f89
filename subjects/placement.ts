/** Placement: which worker gets the next sandbox, and which workers are on lease. */
import { z } from "zod";
import { json } from "./contract.ts";
import { Architecture } from "./function.ts";
import { Token } from "./tokens.ts";

/** Request from the worker manager. `avoid` names workers that just refused. */
export const Place = json(
  "mayfly.placement.place",
  z.object({
    poolId: Token,
    memoryMiB: z.number(),
    runtime: z.string(),
    architecture: Architecture.default("x86_64"),
    avoid: z.array(Token),
  }),
);
/** Reply: the worker; or a refusal: `NoRoom`, or `InvalidRuntimeException` when no worker could ever run it as they are. */
export const Placed = z.object({ workerId: Token });
export type Placed = z.infer<typeof Placed>;

/** A worker is lost: its sandboxes are gone with it. */
export const WorkerLost = json("mayfly.placement.lost", z.object({ workerId: Token }));

/**
 * What LEASES keeps for each leased worker, and for one that was given up and hasn't been told so yet: `silentSince` is when it
 * was last heard, `endsAt` how long it is remembered then.
 */
export const Lease = z.object({
  workerId: Token,
  zone: Token,
  leasedAt: z.number(),
  endsAt: z.number(),
  silentSince: z.number().exactOptional(),
});
export type Lease = z.infer<typeof Lease>;
