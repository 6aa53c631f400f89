/**
 * Create, Get, Update, Delete and ListEventSourceMapping(s). Wishes are written with compare-and-set into the TRIGGERS
 * bucket, from where the triggers take them up. A deleted function's mappings stay, as in Lambda.
 * Source: Lambda API reference and recorded answers of Lambda.
 */
import { Refused } from "../../../subjects/errors.ts";
import { FunctionRecord, functionKey, hasQualifier } from "../../../subjects/function.ts";
import { MappingRecord, type MappingSource, mappingKey, sourceArn, sourceNamed } from "../../../subjects/mapping.ts";
import { LATEST } from "../../../subjects/tokens.ts";
import { type Bucket, Conflict, type Storage } from "../../bus/storage.ts";
import { readAll } from "../account.ts";
import { refuseDangling } from "../dangling.ts";
import { changedMapping, createdMapping, deletedMapping, mappingBody, targetArn } from "../mapping.ts";
import type { Constraints } from "../validation/constraints.ts";
import { isKept, mappingSettingsOf } from "../validation/mapping-settings.ts";
import { type Caller, functionNamed } from "../validation/names.ts";
import { isSchedule, isTimeZone } from "../validation/schedule.ts";
import { cut, pageAsked } from "./list-functions.ts";

/** What is asked of mappings, at epoch ms `at`. */
export interface MappingAsked {
  readonly check: Constraints;
  readonly caller: Caller;
  readonly functions: Bucket;
  readonly triggers: Bucket;
  readonly storedIn: Storage["storedIn"];
  /** A fresh uuid each time. */
  readonly ids: () => string;
  readonly at: number;
}

const POSITIONS = ["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"] as const;
const SOURCE = "arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\\-])+:([a-z]{2}(-gov)?-[a-z]+-\\d{1})?:(\\d{12})?:(.*)";
const FIXED = ["EventSourceArn", "StartingPosition", "StartingPositionTimestamp", "Reply", "TimeZone"];

export async function createMapping(asked: MappingAsked): Promise<object> {
  const { check, caller, triggers, ids, at } = asked;
  const { fn, qualifier } = functionNamed(check, caller);
  const source = sourceOf(check);
  const start = startOf(check, source);
  const settings = mappingSettingsOf(check, caller, source);
  await refuseUnlessThere(asked, fn, qualifier);
  await refuseDangling(asked, caller.acct, [settings.onFailure]);
  await refuseSecond(asked, source, fn, qualifier);
  const mapping = createdMapping({ acct: caller.acct, uuid: ids(), fn, qualifier, source, ...start }, settings, at);
  await triggers.create(mappingKey(caller.acct, mapping.uuid), mapping);
  return mappingBody(caller, mapping);
}

export async function getMapping({ check, caller, triggers }: MappingAsked): Promise<object> {
  return mappingBody(caller, (await existingMapping(triggers, caller, uuidOf(check))).mapping);
}

export async function updateMapping(asked: MappingAsked): Promise<object> {
  const { check, caller, at } = asked;
  const named = check.has("FunctionName") ? functionNamed(check, caller) : undefined;
  const fixed = FIXED.find((field) => check.has(field));
  if (fixed !== undefined)
    throw new Refused("InvalidParameterValueException", `${fixed} can't be changed: create another mapping.`);
  return written(asked, async (before) => {
    const settings = mappingSettingsOf(check, caller, before.source);
    if (named !== undefined) await refuseUnlessThere(asked, named.fn, named.qualifier);
    await refuseDangling(asked, caller.acct, [settings.onFailure]);
    return changedMapping(before, { ...settings, ...named }, at);
  });
}

export const deleteMapping = (asked: MappingAsked): Promise<object> =>
  written(asked, async (before) => deletedMapping(before, asked.at));

export async function listMappings({ check, caller, triggers }: MappingAsked): Promise<object> {
  const { fn, qualifier } = check.has("FunctionName") ? functionNamed(check, caller) : {};
  const arn = check.text("EventSourceArn");
  const page = pageAsked(check);
  check.done();
  const found = (await allMappings(triggers, caller)).filter(
    (each) =>
      (fn === undefined || (each.fn === fn && (qualifier ?? LATEST) === (each.qualifier ?? LATEST))) &&
      (arn === undefined || sourceArn(each.source) === arn),
  );
  const { items, next } = cut(found, page, ({ uuid }) => uuid);
  return { EventSourceMappings: items.map((each) => mappingBody(caller, each)), ...next };
}

/** Reads, changes, writes; when somebody else wrote in between, all over again. */
async function written(
  { check, caller, triggers }: MappingAsked,
  change: (before: MappingRecord) => Promise<MappingRecord>,
): Promise<object> {
  const uuid = uuidOf(check);
  for (;;) {
    const { mapping, revision } = await existingMapping(triggers, caller, uuid);
    const after = await change(mapping);
    if (after === mapping) return mappingBody(caller, mapping);
    try {
      await triggers.update(mappingKey(caller.acct, uuid), after, revision);
      return mappingBody(caller, after);
    } catch (error) {
      if (!(error instanceof Conflict)) throw error;
    }
  }
}

async function existingMapping(triggers: Bucket, { acct }: Caller, uuid: string) {
  const entry = await triggers.get(mappingKey(acct, uuid));
  if (entry === undefined) throw new Refused("ResourceNotFoundException", "The resource you requested does not exist.");
  return { mapping: MappingRecord.parse(entry.value), revision: entry.revision };
}

const allMappings = async (triggers: Bucket, { acct }: Caller): Promise<MappingRecord[]> =>
  readAll(triggers, await triggers.keys(mappingKey(acct, "*")), (value) => MappingRecord.parse(value));

function uuidOf(check: Constraints): string {
  const uuid = check.required("UUID", check.text("UUID", { pattern: "[a-zA-Z0-9-]+" }), "");
  check.done();
  return uuid;
}

/** Throws `Refused` for what is no source of a tenant's. */
function sourceOf(check: Constraints): MappingSource {
  const arn = check.text("EventSourceArn", { pattern: SOURCE });
  const timeZone = check.text("TimeZone", { min: 1, max: 50 });
  const reply = check.flag("Reply");
  check.done();
  if (arn === undefined) throw invalid("Unrecognized event source.");
  const source = sourceNamed(arn, { reply, ...(timeZone === undefined ? {} : { timeZone }) });
  if (source === undefined) throw invalid(`Unrecognized event source: ${arn}`);
  if (source.kind === "schedule" && !isSchedule(source.expression))
    throw invalid(`Invalid Schedule Expression ${source.expression}.`);
  if (timeZone !== undefined && source.kind !== "schedule") throw invalid("Only a schedule has a TimeZone.");
  if (timeZone !== undefined && !isTimeZone(timeZone)) throw invalid(`The TimeZone ${timeZone} is not known.`);
  if (reply && source.kind !== "subject") throw invalid("Only messages of a subject can be answered: Reply.");
  return source;
}

/** Where in a stream it begins: a stream needs to be told, as in Lambda; changes of buckets begin with the next one. */
function startOf(check: Constraints, source: MappingSource) {
  const startingPosition = check.choice("StartingPosition", POSITIONS);
  const startingAt = check.instant("StartingPositionTimestamp");
  check.done();
  if (!isKept(source)) {
    if (startingPosition !== undefined)
      throw invalid(`StartingPosition is not supported for event sources of kind ${source.kind}.`);
    return { startingPosition, startingAt: undefined };
  }
  if (startingPosition === undefined && source.kind === "stream")
    throw invalid(
      "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not be null.",
    );
  if ((startingPosition === "AT_TIMESTAMP") !== (startingAt !== undefined))
    throw invalid("StartingPositionTimestamp must be given with StartingPosition AT_TIMESTAMP, and only with it.");
  return { startingPosition: startingPosition ?? "LATEST", startingAt };
}

async function refuseUnlessThere({ functions, caller }: MappingAsked, fn: string, qualifier = LATEST): Promise<void> {
  const entry = await functions.get(functionKey(caller.acct, fn));
  const record = entry === undefined ? undefined : FunctionRecord.parse(entry.value);
  if (record === undefined || record.deletingAt !== undefined || !hasQualifier(record, qualifier))
    throw invalid("Function does not exist");
}

/** One mapping for each source and function: two would run every record twice. */
async function refuseSecond(
  { triggers, caller }: MappingAsked,
  source: MappingSource,
  fn: string,
  qualifier: string | undefined,
): Promise<void> {
  const arns = [sourceArn(source), targetArn(caller, fn, qualifier)];
  const same = (await allMappings(triggers, caller)).find(
    (each) => sourceArn(each.source) === arns[0] && targetArn(caller, each.fn, each.qualifier) === arns[1],
  );
  if (same !== undefined)
    throw new Refused(
      "ResourceConflictException",
      `An event source mapping with event source (" ${arns[0]} "), function (" ${arns[1]} ") already exists. Please update or delete the existing mapping with UUID ${same.uuid}`,
    );
}

const invalid = (message: string): Refused => new Refused("InvalidParameterValueException", message);
