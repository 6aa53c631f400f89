/**
 * Put, Update and DeleteFunctionEventInvokeConfig: how asynchronous events of a qualifier are retried, how old they may
 * get, and where the record of their end goes. Put replaces all of it; Update changes what is given, each destination for
 * itself. Source: Lambda API reference and recorded answers of Lambda.
 */
import { refusal } from "../../../subjects/errors.ts";
import type { EventInvokeConfig } from "../../../subjects/event-invoke.ts";
import { type FunctionRecord, hasQualifier } from "../../../subjects/function.ts";
import { LATEST } from "../../../subjects/tokens.ts";
import type { Command, Decision, EventInvokeChange, Wish } from "../commands.ts";
import { invalid } from "../refusals.ts";
import type { Constraints } from "../validation/constraints.ts";
import { checkDestination, destinationOf } from "../validation/destinations.ts";
import { type Caller, functionNamed } from "../validation/names.ts";

const NOTHING_GIVEN = "You must specify at least one of error handling or destination setting.";

/** As the API shows it. `arn` is unqualified. */
export const eventInvokeBody = (arn: string, qualifier: string, config: EventInvokeConfig): object => ({
  FunctionArn: `${arn}:${qualifier}`,
  ...config,
});

export const noFunction = () => refusal("ResourceNotFoundException", "The function doesn't exist.");

export const noEventInvokeConfig = (arn: string, qualifier: string) =>
  refusal("ResourceNotFoundException", `The function ${arn}:${qualifier} doesn't have an EventInvokeConfig`);

/** An alias may be named `constructor`: only what was really put is found. */
export const eventInvokeOf = ({ eventInvoke }: FunctionRecord, qualifier: string): EventInvokeConfig | undefined =>
  Object.hasOwn(eventInvoke, qualifier) ? eventInvoke[qualifier] : undefined;

/** A record in which no qualifier has settings that isn't there any more. */
export function withoutSettingsOf(record: FunctionRecord, gone: string): FunctionRecord {
  const { [gone]: _dropped, ...eventInvoke } = record.eventInvoke;
  return { ...record, eventInvoke };
}

export const readPutEventInvoke = (check: Constraints, caller: Caller): Wish<"event-invoke.put"> => ({
  type: "event-invoke.put",
  ...readChange(check, caller),
});

export const readUpdateEventInvoke = (check: Constraints, caller: Caller): Wish<"event-invoke.update"> => ({
  type: "event-invoke.update",
  ...readChange(check, caller),
});

export function readDeleteEventInvoke(check: Constraints, caller: Caller): Wish<"event-invoke.delete"> {
  const { fn, qualifier = LATEST } = functionNamed(check, caller);
  return { type: "event-invoke.delete", fn, qualifier };
}

function readChange(check: Constraints, caller: Caller) {
  const { fn, qualifier = LATEST } = functionNamed(check, caller);
  const retries = check.integer("MaximumRetryAttempts", { min: 0, max: 2 });
  const age = check.integer("MaximumEventAgeInSeconds", { min: 60, max: 21_600 });
  const destinations = check.inside("DestinationConfig");
  const OnSuccess = destinationOf(destinations, "OnSuccess");
  const OnFailure = destinationOf(destinations, "OnFailure");
  check.done();
  const change: EventInvokeChange = {
    ...(retries === undefined ? {} : { MaximumRetryAttempts: retries }),
    ...(age === undefined ? {} : { MaximumEventAgeInSeconds: age }),
    ...(OnSuccess === undefined ? {} : { OnSuccess }),
    ...(OnFailure === undefined ? {} : { OnFailure }),
  };
  const arns = [OnSuccess?.Destination, OnFailure?.Destination].filter((arn) => arn !== undefined);
  for (const arn of arns) checkDestination(arn, caller, fn);
  return { fn, qualifier, change, destinations: arns };
}

export function decidePutEventInvoke(
  record: FunctionRecord,
  command: Command<"event-invoke.put" | "event-invoke.update">,
): Decision {
  const { qualifier, change, arn, at } = command;
  if (!hasQualifier(record, qualifier)) return { kind: "refuse", refusal: noFunction() };
  if (Object.keys(change).length === 0) return { kind: "refuse", refusal: invalid(NOTHING_GIVEN) };
  const before = eventInvokeOf(record, qualifier);
  if (command.type === "event-invoke.update" && before === undefined)
    return { kind: "refuse", refusal: noEventInvokeConfig(arn, qualifier) };
  const { OnSuccess, OnFailure, ...limits } = change;
  const kept = command.type === "event-invoke.update" ? before : undefined;
  const config: EventInvokeConfig = {
    ...kept,
    ...limits,
    DestinationConfig: { OnSuccess: {}, OnFailure: {}, ...kept?.DestinationConfig, ...given({ OnSuccess, OnFailure }) },
    LastModified: at / 1000,
  };
  const eventInvoke = { ...record.eventInvoke, [qualifier]: config };
  return { kind: "write", record: { ...record, eventInvoke }, body: eventInvokeBody(arn, qualifier, config) };
}

export function decideDeleteEventInvoke(
  record: FunctionRecord,
  { arn, qualifier }: Command<"event-invoke.delete">,
): Decision {
  if (eventInvokeOf(record, qualifier) === undefined)
    return { kind: "refuse", refusal: noEventInvokeConfig(arn, qualifier) };
  return { kind: "write", record: withoutSettingsOf(record, qualifier), body: {} };
}

function given(sides: { OnSuccess: EventInvokeChange["OnSuccess"]; OnFailure: EventInvokeChange["OnFailure"] }) {
  return Object.fromEntries(Object.entries(sides).filter(([, side]) => side !== undefined)) as Partial<
    EventInvokeConfig["DestinationConfig"]
  >;
}
