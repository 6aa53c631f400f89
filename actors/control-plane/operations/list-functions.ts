/**
 * ListFunctions, ListVersionsByFunction, ListAliases, ListFunctionEventInvokeConfigs: by pages. A marker is the name after which the next page begins, so
 * that a page stays right when functions come and go in between. Source: Lambda API reference and recorded answers of Lambda
 */
import { Refused } from "../../../subjects/errors.ts";
import { FunctionConfiguration, FunctionRecord, versionKey } from "../../../subjects/function.ts";
import { LATEST } from "../../../subjects/tokens.ts";
import { functionKeys, readAll } from "../account.ts";
import { functionNotFound } from "../refusals.ts";
import type { Constraints } from "../validation/constraints.ts";
import { arnOf, unqualified } from "../validation/names.ts";
import { aliasBody } from "./aliases.ts";
import { eventInvokeBody, noFunction } from "./event-invoke.ts";
import { existing, type Reading } from "./get-function.ts";

const PAGE = 50;
const MAX_ITEMS = 10_000;
const OF_FUNCTIONS_ONLY = "Name the function without a version or an alias.";

/** Every function's `$LATEST`; with `FunctionVersion: "ALL"` its versions too, on the same page as the function. */
export async function listFunctions({ check, caller, functions }: Reading): Promise<object> {
  const all = check.choice("FunctionVersion", ["ALL"]) === "ALL";
  const page = pageAsked(check);
  check.done();
  const { items: keys, next } = cut(await functionKeys(functions, caller.acct), page, (key) => key);
  const records = await readAll(functions, keys, (value) => FunctionRecord.parse(value));
  const configurations: FunctionConfiguration[] = [];
  for (const record of records.filter((each) => each.deletingAt === undefined)) {
    const { configuration } = record;
    configurations.push(
      all ? { ...configuration, FunctionArn: `${configuration.FunctionArn}:${LATEST}` } : configuration,
    );
    if (all) configurations.push(...(await versionsOf(record, record.versions, functions)));
  }
  return { Functions: configurations.map(withoutStates), ...next };
}

/** `$LATEST` first, then the numbers, oldest first. */
export async function listVersions({ check, caller, functions }: Reading): Promise<object> {
  const fn = unqualified(check, caller, OF_FUNCTIONS_ONLY);
  const page = pageAsked(check);
  check.done();
  const record = await existing(functions, caller.acct, fn, functionNotFound(arnOf(caller, fn)));
  const place = (version: string) => (version === LATEST ? "" : version.padStart(16, "0"));
  const { items, next } = cut([LATEST, ...record.versions], page, place);
  const latest = { ...record.configuration, FunctionArn: `${record.configuration.FunctionArn}:${LATEST}` };
  const numbered = await versionsOf(
    record,
    items.filter((each) => each !== LATEST),
    functions,
  );
  return { Versions: [...(items[0] === LATEST ? [latest] : []), ...numbered].map(withoutStates), ...next };
}

export async function listAliases({ check, caller, functions }: Reading): Promise<object> {
  const fn = unqualified(check, caller, OF_FUNCTIONS_ONLY);
  const version = check.text("FunctionVersion", { pattern: "(\\$LATEST|[0-9]+)" });
  const page = pageAsked(check);
  check.done();
  const arn = arnOf(caller, fn);
  const { aliases } = await existing(functions, caller.acct, fn, functionNotFound(arn));
  const found = Object.values(aliases)
    .filter((alias) => version === undefined || alias.FunctionVersion === version)
    .sort((one, other) => (one.Name < other.Name ? -1 : 1));
  const { items, next } = cut(found, page, (alias) => alias.Name);
  return { Aliases: items.map((alias) => aliasBody(arn, alias)), ...next };
}

/** By qualifier: `$LATEST` first. */
export async function listEventInvokeConfigs({ check, caller, functions }: Reading): Promise<object> {
  const fn = unqualified(check, caller, OF_FUNCTIONS_ONLY);
  const page = pageAsked(check);
  check.done();
  const { eventInvoke } = await existing(functions, caller.acct, fn, noFunction());
  const found = Object.entries(eventInvoke).sort(([one], [other]) => (one < other ? -1 : 1));
  const { items, next } = cut(found, page, ([qualifier]) => qualifier);
  const arn = arnOf(caller, fn);
  return {
    FunctionEventInvokeConfigs: items.map(([qualifier, each]) => eventInvokeBody(arn, qualifier, each)),
    ...next,
  };
}

const versionsOf = ({ acct, fn }: FunctionRecord, versions: readonly string[], functions: Reading["functions"]) =>
  readAll(
    functions,
    versions.map((version) => versionKey(acct, fn, version)),
    (value) => FunctionConfiguration.parse(value),
  );

interface Page {
  readonly items: number;
  /** The place of the last item of the page before. */
  readonly after: string | undefined;
}

export function pageAsked(check: Constraints, max = MAX_ITEMS): Page {
  const items = check.integer("MaxItems", { min: 1, max }) ?? PAGE;
  const marker = check.text("Marker");
  const after = marker === undefined ? undefined : Buffer.from(marker, "base64url").toString();
  if (after !== undefined && marker !== markerOf(after))
    throw new Refused("InvalidParameterValueException", "The marker is not one that an earlier page gave.");
  return { items: Math.min(items, PAGE), after };
}

const markerOf = (place: string): string => Buffer.from(place).toString("base64url");

/** The page of a list that is in order of its places. */
export function cut<T>(list: readonly T[], { items, after }: Page, place: (item: T) => string) {
  const rest = after === undefined ? list : list.filter((item) => place(item) > after);
  const page = rest.slice(0, items);
  const last = page.at(-1);
  const more = rest.length > page.length && last !== undefined;
  return { items: page, next: more ? { NextMarker: markerOf(place(last)) } : {} };
}

/** Lists leave out what changes from moment to moment, and as everywhere what is ours. */
function withoutStates(configuration: FunctionConfiguration): Partial<FunctionConfiguration> {
  const {
    State: _state,
    StateReason: _reason,
    StateReasonCode: _code,
    LastUpdateStatus: _update,
    LastUpdateStatusReason: _updateReason,
    LastUpdateStatusReasonCode: _updateCode,
    RuntimeVersionConfig: _runtime,
    content: _content,
    ...rest
  } = configuration;
  return rest;
}
