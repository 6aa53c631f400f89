/** Worker manager: which sandboxes of a function version are idle, and who gets them. */
import { z } from "zod";
import { json } from "./contract.ts";
import { Refusal } from "./errors.ts";
import { FunctionSpec } from "./function.ts";
import { Token } from "./tokens.ts";

/**
 * A front end's need: so many sandboxes more than it has. Absolute, not added up, so saying it twice does no harm. `ahead`:
 * it is about to want another, once Counting has admitted who is to run in it.
 */
export const Want = json(
  "mayfly.worker-manager.{poolId}.want",
  z.object({
    frontendId: Token,
    count: z.number().int().nonnegative(),
    ahead: z.literal(true).exactOptional(),
    spec: FunctionSpec,
  }),
);

/** An idle sandbox given back. */
export const Return = json(
  "mayfly.worker-manager.{poolId}.return",
  z.object({ frontendId: Token, sandboxId: Token, alive: z.boolean() }),
);

/**
 * To the front end: this sandbox is yours until you give it back. Of one that was made for it, its worker says so itself, to
 * save the way, and tells the worker manager that it did.
 */
export const Grant = json(
  "mayfly.frontend.{frontendId}.grant.{poolId}",
  z.object({ sandboxId: Token, workerId: Token }),
);

/** To the front end: a sandbox that was being started for you did not start. `functionError` is the runtime's own JSON. */
export const StartFailed = json(
  "mayfly.frontend.{frontendId}.start-failed.{poolId}",
  z.object({ refused: Refusal.optional(), functionError: z.string().optional() }),
);
export type StartFailed = z.infer<NonNullable<(typeof StartFailed)["body"]>>;

/** The function version was replaced or deleted: no new sandboxes, idle ones stop, busy ones stop when done. */
export const Retire = json("mayfly.worker-manager.{poolId}.retire", z.object({}));
