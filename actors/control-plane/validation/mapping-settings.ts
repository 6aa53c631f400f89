/**
 * The settings of an event source mapping that Create and Update share, with Lambda's limits. What a kind of source has no
 * use for is refused by name: nothing is taken and then ignored.
 * Source: Lambda API reference, CreateEventSourceMapping, and recorded answers of Lambda.
 */
import { Refused } from "../../../subjects/errors.ts";
import type { MappingRecord, MappingSource } from "../../../subjects/mapping.ts";
import type { Constraints } from "./constraints.ts";
import { checkDestination, destinationOf } from "./destinations.ts";
import { isFilterPattern } from "./filter-pattern.ts";
import type { Caller } from "./names.ts";
import { asksForSomething, refuseAsking } from "./settings.ts";

export type MappingSettings = Pick<
  MappingRecord,
  | "batchSize"
  | "windowSeconds"
  | "filters"
  | "reportsItemFailures"
  | "bisects"
  | "maxRetryAttempts"
  | "maxRecordAgeSeconds"
  | "inOrder"
  | "enabled"
> & {
  /** Empty or 0: none any more. */
  readonly onFailure: string;
  readonly maxConcurrency: number;
};

const MAX_FILTERS = 5;
const MAX_PATTERN = 4096;

/** What Lambda has for sources that aren't here. A ParallelizationFactor of 1 and a TumblingWindow of 0 ask for nothing. */
const UNSUPPORTED = [
  "AmazonManagedKafkaEventSourceConfig",
  "DocumentDBEventSourceConfig",
  "KMSKeyArn",
  "LoggingConfig",
  "MetricsConfig",
  "ProvisionedPollerConfig",
  "Queues",
  "SelfManagedEventSource",
  "SelfManagedKafkaEventSourceConfig",
  "SourceAccessConfigurations",
  "Tags",
  "Topics",
];
const OF_BATCHES = [
  "BatchSize",
  "MaximumBatchingWindowInSeconds",
  "BisectBatchOnFunctionError",
  "MaximumRetryAttempts",
  "MaximumRecordAgeInSeconds",
  "FunctionResponseTypes",
  "DestinationConfig",
  "InOrder",
];

/** Values that describe a source without batches as it is. */
const ASKS_NOTHING: Readonly<Record<string, unknown>> = { BatchSize: 1, MaximumBatchingWindowInSeconds: 0 };

/** Sources that keep what they hold: only of these are there batches, and another try of the same records. */
export const isKept = ({ kind }: MappingSource): boolean => kind !== "subject" && kind !== "schedule";

/** Every setting that is given. `source` is what the mapping has; `check.done()` is called here. Throws `Refused`. */
export function mappingSettingsOf(check: Constraints, caller: Caller, source: MappingSource): Partial<MappingSettings> {
  refuseAsking(check, UNSUPPORTED);
  check.integer("ParallelizationFactor", { min: 1, max: 1 });
  check.integer("TumblingWindowInSeconds", { min: 0, max: 0 });
  const onFailure = destinationOf(check.inside("DestinationConfig"), "OnFailure");
  const flag = (field: string) => (check.has(field) ? check.flag(field) : undefined);
  const scaling = check.inside("ScalingConfig");
  const found = {
    batchSize: check.integer("BatchSize", { min: 1, max: 10_000 }),
    windowSeconds: check.integer("MaximumBatchingWindowInSeconds", { min: 0, max: 300 }),
    filters: filtersOf(check),
    reportsItemFailures: responseTypesOf(check)?.includes("ReportBatchItemFailures"),
    bisects: flag("BisectBatchOnFunctionError"),
    maxRetryAttempts: check.integer("MaximumRetryAttempts", { min: -1, max: 10_000 }),
    maxRecordAgeSeconds: recordAgeOf(check),
    inOrder: flag("InOrder"),
    enabled: flag("Enabled"),
    onFailure: onFailure === undefined ? undefined : (onFailure.Destination ?? ""),
    maxConcurrency:
      scaling === undefined ? undefined : (scaling.integer("MaximumConcurrency", { min: 1, max: 1000 }) ?? 0),
  };
  check.done();
  refuseMisplaced(check, source);
  if (found.onFailure !== undefined && found.onFailure !== "") checkDestination(found.onFailure, caller);
  return Object.fromEntries(
    Object.entries(found).filter(([, value]) => value !== undefined),
  ) as Partial<MappingSettings>;
}

function refuseMisplaced(check: Constraints, source: MappingSource): void {
  const isAnswered = source.kind === "subject" && source.reply;
  const misplaced = [
    ...(isKept(source) ? [] : OF_BATCHES),
    ...(isKept(source) || isAnswered ? [] : ["ScalingConfig"]),
    ...(source.kind === "schedule" ? ["FilterCriteria"] : []),
  ].filter((field) => asksForSomething(check.given(field)) && check.given(field) !== ASKS_NOTHING[field]);
  if (misplaced.length > 0)
    throw new Refused(
      "InvalidParameterValueException",
      `${misplaced[0]} is not supported for event sources of kind ${source.kind}.`,
    );
}

function filtersOf(check: Constraints): readonly string[] | undefined {
  const criteria = check.inside("FilterCriteria");
  if (criteria === undefined) return undefined;
  const patterns = (criteria.list("Filters") ?? []).map((each) => each.text("Pattern", { max: MAX_PATTERN }) ?? "");
  if (patterns.length > MAX_FILTERS)
    criteria.wrong("Filters", check.given("FilterCriteria"), `have length less than or equal to ${MAX_FILTERS}`);
  else if (!patterns.every(isFilterPattern))
    throw new Refused("InvalidParameterValueException", "Invalid filter pattern definition.");
  return patterns;
}

function responseTypesOf(check: Constraints): readonly string[] | undefined {
  const types = check.texts("FunctionResponseTypes");
  if (types?.some((type) => type !== "ReportBatchItemFailures"))
    check.wrong(
      "FunctionResponseTypes",
      types,
      "satisfy constraint: [Member must satisfy enum value set: [ReportBatchItemFailures], Member must not be null]",
    );
  return types;
}

function recordAgeOf(check: Constraints): number | undefined {
  const field = "MaximumRecordAgeInSeconds";
  const age = check.integer(field, { min: -1, max: 604_800 });
  if (age !== undefined && age !== -1 && age >= 0 && age < 60)
    check.wrong(field, age, "be -1, or have value greater than or equal to 60");
  return age;
}
