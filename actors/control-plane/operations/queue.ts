/**
 * PutFunctionQueueConfig, Mayfly's own: how many of a function's asynchronous events run at once, and whether any does.
 * What isn't given stays as it was; a MaximumConcurrency of 0 goes back to the platform's default.
 */
import type { FunctionRecord } from "../../../subjects/function.ts";
import type { Command, Decision, Wish } from "../commands.ts";
import { invalid } from "../refusals.ts";
import type { Constraints } from "../validation/constraints.ts";
import { type Caller, unqualified } from "../validation/names.ts";
import { FUNCTIONS_ONLY } from "./concurrency.ts";

const MOST = 10_000;

export const queueBody = ({ queue: { MaximumConcurrency, Paused = false } }: FunctionRecord): object => ({
  ...(MaximumConcurrency === undefined ? {} : { MaximumConcurrency }),
  Paused,
});

export function readPutQueue(check: Constraints, caller: Caller): Wish<"queue.put"> {
  const fn = unqualified(check, caller, FUNCTIONS_ONLY);
  const concurrency = check.integer("MaximumConcurrency", { min: 0, max: MOST });
  const paused = check.has("Paused") ? check.flag("Paused") : undefined;
  check.done();
  return { type: "queue.put", fn, concurrency, paused };
}

export function decidePutQueue(record: FunctionRecord, { concurrency, paused }: Command<"queue.put">): Decision {
  if (concurrency === undefined && paused === undefined)
    return { kind: "refuse", refusal: invalid("You must specify MaximumConcurrency or Paused.") };
  const { MaximumConcurrency: before, Paused: wasPaused } = record.queue;
  const MaximumConcurrency = concurrency === 0 ? undefined : (concurrency ?? before);
  const Paused = paused ?? wasPaused;
  const queue = {
    ...(MaximumConcurrency === undefined ? {} : { MaximumConcurrency }),
    ...(Paused === undefined ? {} : { Paused }),
  };
  const after = { ...record, queue };
  return { kind: "write", record: after, body: queueBody(after) };
}
