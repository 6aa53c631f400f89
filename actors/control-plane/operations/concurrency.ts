/**
 * PutFunctionConcurrency and DeleteFunctionConcurrency: how much of the account's concurrency is a function's own, and its
 * ceiling. Something must stay for the functions that reserve nothing. Source: Lambda API reference and recorded answers of Lambda
 */
import type { FunctionRecord } from "../../../subjects/function.ts";
import type { Command, Decision, Findings, Wish } from "../commands.ts";
import { invalid } from "../refusals.ts";
import type { Constraints } from "../validation/constraints.ts";
import { type Caller, unqualified } from "../validation/names.ts";

export const FUNCTIONS_ONLY =
  "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. Please specify either a function name or an unqualified function ARN.";

const LAMBDAS_FLOOR = 100;

/** What must stay unreserved: Lambda's 100, or nothing where the account as a whole has not even that. */
export const unreservedFloor = (limit: number): number => (limit < LAMBDAS_FLOOR ? 0 : LAMBDAS_FLOOR);

export function readPutConcurrency(check: Constraints, caller: Caller): Wish<"concurrency.put"> {
  const fn = unqualified(check, caller, FUNCTIONS_ONLY);
  const field = "ReservedConcurrentExecutions";
  const reserved = check.required(field, check.integer(field, { min: 0, max: Number.MAX_SAFE_INTEGER }), 0);
  check.done();
  return { type: "concurrency.put", fn, reserved };
}

export const readDeleteConcurrency = (check: Constraints, caller: Caller): Wish<"concurrency.delete"> => ({
  type: "concurrency.delete",
  fn: unqualified(check, caller, FUNCTIONS_ONLY),
});

export function decidePutConcurrency(
  record: FunctionRecord,
  { reserved }: Command<"concurrency.put">,
  { concurrency }: Findings,
): Decision {
  if (concurrency !== undefined) {
    const { limit, reservedElsewhere, floor } = concurrency;
    if (limit - reservedElsewhere - reserved < floor)
      return {
        kind: "refuse",
        refusal: invalid(
          `Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [${floor}].`,
        ),
      };
  }
  return {
    kind: "write",
    record: { ...record, reservedConcurrency: reserved },
    body: { ReservedConcurrentExecutions: reserved },
  };
}

export function decideDeleteConcurrency(record: FunctionRecord): Decision {
  const { reservedConcurrency, ...rest } = record;
  return reservedConcurrency === undefined ? { kind: "answer", body: {} } : { kind: "write", record: rest, body: {} };
}
