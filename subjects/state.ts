/**
 * What every actor says of itself. `nats sub 'mayfly.state.sandbox.*'` is the fleet, live; `mayfly.inspect.…` is one
 * actor's snapshot on request.
 */
import { z } from "zod";
import { json, raw } from "./contract.ts";

/** One transition. `at` is epoch milliseconds; `cause` is the request or message that led to it, where there is one. */
export const Transition = z.object({
  actor: z.string(),
  id: z.string(),
  from: z.string(),
  to: z.string(),
  event: z.string(),
  at: z.number(),
  cause: z.string().optional(),
  /** A short-lived actor says its whole life in one message: each state with the microseconds spent in it. */
  history: z.array(z.object({ state: z.string(), us: z.number() })).optional(),
  /** What the actor is about, e.g. the function of an invocation. */
  about: z.record(z.string(), z.unknown()).optional(),
});
export type Transition = z.infer<typeof Transition>;

export const State = json("mayfly.state.{actor}.{id}", Transition);

/**
 * The same body, kept in the STATE stream: everything but plain warm successes. Its third token keeps it apart from what
 * tenants own: no two streams may share a subject.
 */
export const History = json("mayfly.history.life.{actor}.{id}", Transition);

export const Inspect = raw("mayfly.inspect.{actor}.{id}");
