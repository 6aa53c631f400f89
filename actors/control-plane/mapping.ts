/**
 * An event source mapping as its API tells it, and what a wish makes of its record: pure. The control plane only writes
 * wishes; that a mapping is Enabled, Disabled or gone is written by the triggers, who make it so.
 *
 * A wish is taken in every state but Deleting: a change while another one is being made is just the newer wish, because
 * whoever makes it so writes with compare-and-set and looks again. Lambda would refuse it as being in use.
 * Source: Lambda API reference, EventSourceMappingConfiguration, and recorded answers of Lambda.
 */
import { Refused } from "../../subjects/errors.ts";
import { type MappingRecord, NOTHING_PROCESSED, sourceArn } from "../../subjects/mapping.ts";
import { LATEST } from "../../subjects/tokens.ts";
import { isKept, type MappingSettings } from "./validation/mapping-settings.ts";
import { arnOf, type Caller } from "./validation/names.ts";

const BY_A_USER = "User action";

/** What doesn't change in a mapping's life; the function may. */
export type NewMapping = Pick<MappingRecord, "acct" | "uuid" | "fn" | "source"> & {
  readonly qualifier: string | undefined;
  readonly startingPosition: MappingRecord["startingPosition"];
  readonly startingAt: number | undefined;
};

export function createdMapping(
  { qualifier, startingPosition, startingAt, ...named }: NewMapping,
  settings: Partial<MappingSettings>,
  at: number,
): MappingRecord {
  return withSettings(
    {
      ...named,
      ...(qualifier === undefined ? {} : { qualifier }),
      ...(startingPosition === undefined ? {} : { startingPosition }),
      ...(startingAt === undefined ? {} : { startingAt }),
      batchSize: isKept(named.source) ? 100 : 1,
      windowSeconds: 0,
      filters: [],
      reportsItemFailures: false,
      bisects: false,
      maxRetryAttempts: -1,
      maxRecordAgeSeconds: -1,
      inOrder: false,
      enabled: true,
      state: "Creating",
      stateReason: BY_A_USER,
      lastProcessingResult: NOTHING_PROCESSED,
      modifiedAt: at,
    },
    settings,
  );
}

/** Throws `Refused` for a mapping that is being deleted. */
export function changedMapping(
  before: MappingRecord,
  { fn, qualifier, ...settings }: Partial<MappingSettings> & { fn?: string; qualifier?: string | undefined },
  at: number,
): MappingRecord {
  if (before.state === "Deleting")
    throw new Refused("ResourceInUseException", "Cannot update the event source mapping because it is in use.");
  const { qualifier: qualifierBefore, ...rest } = before;
  const named = fn === undefined ? { fn: before.fn, qualifier: qualifierBefore } : { fn, qualifier };
  const after = withSettings(
    { ...rest, fn: named.fn, ...(named.qualifier === undefined ? {} : { qualifier: named.qualifier }) },
    settings,
  );
  return { ...after, state: stateWished(before, after.enabled), stateReason: BY_A_USER, modifiedAt: at };
}

export const deletedMapping = (before: MappingRecord, at: number): MappingRecord =>
  before.state === "Deleting"
    ? before
    : { ...before, enabled: false, state: "Deleting", stateReason: BY_A_USER, modifiedAt: at };

function stateWished(before: MappingRecord, enabled: boolean): MappingRecord["state"] {
  if (before.state === "Creating") return "Creating";
  if (enabled !== before.enabled) return enabled ? "Enabling" : "Disabling";
  return before.state === "Enabling" || before.state === "Disabling" ? before.state : "Updating";
}

function withSettings(before: MappingRecord, settings: Partial<MappingSettings>): MappingRecord {
  const { onFailure: target, maxConcurrency: most, ...rest } = before;
  const { onFailure = target ?? "", maxConcurrency = most ?? 0, ...others } = settings;
  return {
    ...rest,
    ...others,
    ...(onFailure === "" ? {} : { onFailure }),
    ...(maxConcurrency === 0 ? {} : { maxConcurrency }),
  };
}

/** As the API shows it, with Mayfly's own `Reply`, `InOrder` and `TimeZone` where they mean something. */
export function mappingBody(caller: Caller, mapping: MappingRecord): object {
  const { source, uuid, qualifier, filters, startingPosition, startingAt, maxConcurrency } = mapping;
  return {
    UUID: uuid,
    EventSourceMappingArn: mappingArn(caller, uuid),
    EventSourceArn: sourceArn(source),
    FunctionArn: targetArn(caller, mapping.fn, qualifier),
    BatchSize: mapping.batchSize,
    MaximumBatchingWindowInSeconds: mapping.windowSeconds,
    ...(filters.length === 0 ? {} : { FilterCriteria: { Filters: filters.map((Pattern) => ({ Pattern })) } }),
    ...(isKept(source) ? ofBatches(mapping) : {}),
    ...(maxConcurrency === undefined ? {} : { ScalingConfig: { MaximumConcurrency: maxConcurrency } }),
    ...(startingPosition === undefined ? {} : { StartingPosition: startingPosition }),
    ...(startingAt === undefined ? {} : { StartingPositionTimestamp: startingAt / 1000 }),
    ...(source.kind === "subject" ? { Reply: source.reply } : {}),
    ...(source.kind === "schedule" ? { TimeZone: source.timeZone } : {}),
    LastModified: mapping.modifiedAt / 1000,
    LastProcessingResult: mapping.lastProcessingResult,
    State: mapping.state,
    StateTransitionReason: mapping.stateReason,
  };
}

const ofBatches = (mapping: MappingRecord): object => ({
  ParallelizationFactor: 1,
  TumblingWindowInSeconds: 0,
  BisectBatchOnFunctionError: mapping.bisects,
  MaximumRetryAttempts: mapping.maxRetryAttempts,
  MaximumRecordAgeInSeconds: mapping.maxRecordAgeSeconds,
  FunctionResponseTypes: mapping.reportsItemFailures ? ["ReportBatchItemFailures"] : [],
  DestinationConfig: { OnFailure: mapping.onFailure === undefined ? {} : { Destination: mapping.onFailure } },
  InOrder: mapping.inOrder,
});

export const mappingArn = ({ acct, region }: Caller, uuid: string): string =>
  `arn:aws:lambda:${region}:${acct}:event-source-mapping:${uuid}`;

export const targetArn = (caller: Caller, fn: string, qualifier: string | undefined): string =>
  qualifier === undefined || qualifier === LATEST ? arnOf(caller, fn) : `${arnOf(caller, fn)}:${qualifier}`;
