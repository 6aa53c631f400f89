/**
 * Where a record of an event goes: the forms of subjects/event-invoke.ts, and nothing that belongs to the platform.
 * Source: Lambda API reference, DestinationConfig; the wording as recorded from Lambda.
 */
import { Refused } from "../../../subjects/errors.ts";
import { destinationTarget } from "../../../subjects/event-invoke.ts";
import type { Constraints } from "./constraints.ts";
import type { Caller } from "./names.ts";

const MAX_LENGTH = 350;
/** Lambda's, for any service's ARN; an empty text takes a destination away. */
const ARN = "$|arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\\-])+:([a-z]{2}(-gov)?-[a-z]+-\\d{1})?:(\\d{12})?:(.*)";

export type Side = "OnSuccess" | "OnFailure";

/** What a request says of one side: a destination, that there be none, or (`undefined`) nothing. */
export function destinationOf(config: Constraints | undefined, side: Side): { Destination?: string } | undefined {
  const inside = config?.inside(side);
  if (inside === undefined) return undefined;
  const arn = inside.text("Destination", { max: MAX_LENGTH, pattern: ARN });
  return arn === undefined || arn === "" ? {} : { Destination: arn };
}

/** Throws `Refused` for what is no destination of the caller's. `fn` can't be its own. */
export function checkDestination(arn: string, caller: Caller, fn?: string): void {
  const target = destinationTarget(arn);
  if (target === undefined || (target.kind === "function" && target.acct !== caller.acct))
    throw new Refused("InvalidParameterValueException", invalidDestination(arn));
  if (target.kind === "function" && target.fn === fn)
    throw new Refused("InvalidParameterValueException", "You can't specify the function as a destination for itself.");
}

export const invalidDestination = (arn: string): string => `The destination ARN ${arn} is invalid.`;

/** Of a DeadLetterConfig. */
export const invalidTarget = (arn: string): string => `The provided target ARN ${arn} is invalid.`;
