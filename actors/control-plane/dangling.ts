/**
 * Destinations that lead nowhere are refused when they are set, as Lambda refuses a function that doesn't exist: a function
 * must be there, with its version or alias, and a stream must be the one that stores the subject. A subject needs nobody.
 */
import { Refused } from "../../subjects/errors.ts";
import { type DestinationTarget, destinationTarget } from "../../subjects/event-invoke.ts";
import { hasQualifier } from "../../subjects/function.ts";
import { LATEST } from "../../subjects/tokens.ts";
import type { Storage } from "../bus/storage.ts";
import { functionsOf } from "./account.ts";
import { invalidDestination } from "./validation/destinations.ts";

/** Throws `Refused`, in the words of `refusal`, for the first that leads nowhere. Those that are empty lead where they should. */
export async function refuseDangling(
  storage: Pick<Storage, "functions" | "storedIn">,
  acct: string,
  destinations: ReadonlyArray<string | undefined>,
  refusal: (arn: string) => string = invalidDestination,
): Promise<void> {
  for (const arn of destinations) {
    const target = arn === undefined ? undefined : destinationTarget(arn);
    if (arn === undefined || target === undefined) continue;
    const why = await lacking(storage, acct, target);
    if (why !== undefined) throw new Refused("InvalidParameterValueException", [refusal(arn), ...why].join(" "));
  }
}

/** What there is to say of it beside that; `undefined` when nothing is wrong with it. */
async function lacking(
  { functions, storedIn }: Pick<Storage, "functions" | "storedIn">,
  acct: string,
  target: DestinationTarget,
): Promise<readonly string[] | undefined> {
  if (target.kind === "subject") return undefined;
  if (target.kind === "function") {
    const [record] = await functionsOf(functions, acct, [target.fn]);
    return record !== undefined && hasQualifier(record, target.qualifier ?? LATEST) ? undefined : [];
  }
  const { stream, subject } = target;
  try {
    const found = await storedIn(subject);
    return found === stream ? undefined : [`Stream ${stream} does not store ${subject}.`];
  } catch {
    // Nobody can tell, as while a cluster chooses a leader: that is no reason to refuse it.
    return undefined;
  }
}
