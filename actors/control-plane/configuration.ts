/**
 * How a configuration is made and how its state changes: each change is a new RevisionId, and the reasons that belong to a
 * state go with it. Source: Lambda API reference and recorded answers of Lambda
 */
import { MAX_UNZIPPED_BYTES } from "../../subjects/code-package.ts";
import type { Refusal } from "../../subjects/errors.ts";
import type { FunctionConfiguration } from "../../subjects/function.ts";
import { LATEST } from "../../subjects/tokens.ts";
import type { Architecture, Command, Findings, FoundLayer, Package, Settings } from "./commands.ts";
import { invalid } from "./refusals.ts";

const CREATING = { reason: "The function is being created.", code: "Creating" } as const;

/** `2025-11-24T23:08:09.123+0000` */
const timestamp = (at: number): string => new Date(at).toISOString().replace("Z", "+0000");

/** A new function's, with Lambda's defaults: Pending. */
export function created(
  command: Command<"function.create">,
  { codeSha256, codeSize, unzippedBytes }: Package,
  layers: readonly FoundLayer[],
): FunctionConfiguration {
  const { fn, arn, settings, architecture, at, revisionIds } = command;
  const { LoggingConfig: logging, Environment, DeadLetterConfig, Layers: _named, ...chosen } = settings;
  return {
    FunctionName: fn,
    FunctionArn: arn,
    CodeSize: codeSize,
    CodeSha256: codeSha256,
    Description: "",
    Timeout: 3,
    MemorySize: 128,
    TracingConfig: { Mode: "PassThrough" },
    EphemeralStorage: { Size: 512 },
    ...chosen,
    ...environment(Environment),
    ...deadLetters(DeadLetterConfig),
    ...layered(unzippedBytes, layers),
    LoggingConfig: logged({ LogFormat: "Text", LogGroup: `/aws/lambda/${fn}` }, logging),
    Architectures: [architecture],
    PackageType: "Zip",
    SnapStart: { ApplyOn: "None", OptimizationStatus: "Off" },
    Version: LATEST,
    LastModified: timestamp(at),
    RevisionId: revisionIds.latest,
    State: "Pending",
    StateReason: CREATING.reason,
    StateReasonCode: CREATING.code,
  };
}

/** With other settings or another package: an update in progress. */
export function changed(
  before: FunctionConfiguration,
  change: { settings?: Settings; architecture?: Architecture | undefined } & Pick<Findings, "package" | "layers">,
  { at, revisionIds }: Pick<Command, "at" | "revisionIds">,
): FunctionConfiguration {
  const { LoggingConfig: logging, Environment: variables, DeadLetterConfig: target, ...others } = change.settings ?? {};
  const { Layers: _named, ...chosen } = others;
  const { Environment: before_, DeadLetterConfig: targetBefore, Layers: _before, content, ...rest } = before;
  return {
    ...rest,
    ...chosen,
    ...environment(variables ?? before_),
    ...deadLetters(target ?? targetBefore),
    ...layered(change.package?.unzippedBytes ?? content?.unzippedBytes ?? 0, change.layers ?? layersOf(before)),
    LoggingConfig: logged(before.LoggingConfig, logging),
    ...(change.package === undefined
      ? {}
      : { CodeSha256: change.package.codeSha256, CodeSize: change.package.codeSize }),
    ...(change.architecture === undefined ? {} : { Architectures: [change.architecture] }),
    LastModified: timestamp(at),
    RevisionId: revisionIds.latest,
    LastUpdateStatus: "InProgress",
    LastUpdateStatusReason: CREATING.reason,
    LastUpdateStatusReasonCode: CREATING.code,
  };
}

/** Active, the update (or the creation) successful. */
export const succeeded = (configuration: FunctionConfiguration, revisionId: string): FunctionConfiguration => ({
  ...withoutReasons(configuration),
  RevisionId: revisionId,
  State: "Active",
  LastUpdateStatus: "Successful",
});

/** The creation failed: there is nothing to run. */
export const creationFailed = (
  configuration: FunctionConfiguration,
  revisionId: string,
  { reason, code }: { reason: string; code: string },
): FunctionConfiguration => ({
  ...withoutReasons(configuration),
  RevisionId: revisionId,
  State: "Failed",
  StateReason: reason,
  StateReasonCode: code,
  LastUpdateStatus: "Failed",
  LastUpdateStatusReason: reason,
  LastUpdateStatusReasonCode: code,
});

/** The update failed: what served before goes on serving. */
export const updateFailed = (
  serving: FunctionConfiguration,
  revisionId: string,
  { reason, code }: { reason: string; code: string },
): FunctionConfiguration => ({
  ...withoutReasons(serving),
  RevisionId: revisionId,
  LastUpdateStatus: "Failed",
  LastUpdateStatusReason: reason,
  LastUpdateStatusReasonCode: code,
});

/** A published version's: immutable but for its state. */
export const versioned = (
  latest: FunctionConfiguration,
  version: string,
  revisionId: string,
  description?: string,
): FunctionConfiguration => ({
  ...latest,
  Version: version,
  FunctionArn: `${latest.FunctionArn}:${version}`,
  RevisionId: revisionId,
  Description: description ?? latest.Description,
});

/** Whether two configurations would run the same. Names, states and dates don't matter. */
export function sameContent(one: FunctionConfiguration, other: FunctionConfiguration): boolean {
  const content = (each: FunctionConfiguration) => [
    each.Runtime,
    each.Role,
    each.Handler,
    each.Timeout,
    each.MemorySize,
    each.CodeSha256,
    Object.entries(each.Environment?.Variables ?? {}).sort(),
    each.TracingConfig.Mode,
    each.Architectures,
    each.EphemeralStorage.Size,
    each.DeadLetterConfig?.TargetArn,
    Object.entries(each.LoggingConfig).sort(),
    each.Layers?.map(({ Arn }) => Arn),
  ];
  return JSON.stringify(content(one)) === JSON.stringify(content(other));
}

const environment = (given: FunctionConfiguration["Environment"]) =>
  given === undefined || Object.keys(given.Variables).length === 0 ? {} : { Environment: given };

const layered = (
  unzippedBytes: number,
  layers: readonly FoundLayer[],
): Pick<FunctionConfiguration, "Layers" | "content"> => ({
  ...(layers.length === 0 ? {} : { Layers: layers.map(({ arn, codeSize }) => ({ Arn: arn, CodeSize: codeSize })) }),
  content: {
    unzippedBytes,
    layers: layers.map((each) => ({ sha256: each.sha256, unzippedBytes: each.unzippedBytes })),
  },
});

const layersOf = ({ Layers = [], content }: FunctionConfiguration): readonly FoundLayer[] =>
  Layers.flatMap(({ Arn: arn, CodeSize: codeSize }, at) => {
    const kept = content?.layers[at];
    return kept === undefined ? [] : [{ arn, codeSize, ...kept }];
  });

/** Why a configuration can't be had though each of its parts can; `undefined` when it can. */
export function unfit({
  content,
  LoggingConfig: { LogFormat, ...logging },
}: FunctionConfiguration): Refusal | undefined {
  if (LogFormat === "Text" && (logging.ApplicationLogLevel !== undefined || logging.SystemLogLevel !== undefined))
    return invalid("ApplicationLogLevel and SystemLogLevel can only be set when LogFormat is JSON.");
  // A package without layers was looked at as it came in.
  if (content === undefined || content.layers.length === 0) return undefined;
  const bytes = content.layers.reduce((sum, each) => sum + each.unzippedBytes, content.unzippedBytes);
  return bytes <= MAX_UNZIPPED_BYTES
    ? undefined
    : invalid(
        `Function code combined with layers exceeds the maximum allowed size of ${MAX_UNZIPPED_BYTES} bytes. The actual size is ${bytes} bytes.`,
      );
}

/** JSON has levels, INFO unless something else is said; Text has none, and those that JSON had are dropped. */
function logged(before: FunctionConfiguration["LoggingConfig"], given: Settings["LoggingConfig"] = {}) {
  const { ApplicationLogLevel: _application, SystemLogLevel: _system, ...plain } = before;
  const format = given.LogFormat ?? before.LogFormat;
  return format === "Text"
    ? { ...plain, ...given }
    : { ApplicationLogLevel: "INFO" as const, SystemLogLevel: "INFO" as const, ...before, ...given };
}

/** An empty target takes it away. */
const deadLetters = (given: FunctionConfiguration["DeadLetterConfig"]) =>
  given === undefined || given.TargetArn === "" ? {} : { DeadLetterConfig: given };

function withoutReasons(configuration: FunctionConfiguration): FunctionConfiguration {
  const {
    StateReason: _reason,
    StateReasonCode: _code,
    LastUpdateStatusReason: _updateReason,
    LastUpdateStatusReasonCode: _updateCode,
    ...rest
  } = configuration;
  return rest;
}
