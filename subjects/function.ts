/**
 * A function as the control plane keeps it in the FUNCTIONS bucket, and as the data plane needs it.
 * Field names in capitals are the Lambda API's own. Source: Lambda API reference, FunctionConfiguration.
 */
import { z } from "zod";
import { Egress, EgressConfig } from "./egress.ts";
import { EventInvokeConfig, QueueConfig } from "./event-invoke.ts";
import { AccountId, LATEST, Token } from "./tokens.ts";

export const Architecture = z.enum(["x86_64", "arm64"]);
export type Architecture = z.infer<typeof Architecture>;
const ApplicationLogLevel = z.enum(["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"]);
const SystemLogLevel = z.enum(["DEBUG", "INFO", "WARN"]);

/** What a front end, pool and worker need to run one function version. Everything a sandbox will ever know is in here. */
export const FunctionSpec = z.object({
  acct: AccountId,
  fn: Token,
  /** `$LATEST` or a number. */
  version: z.string().regex(/^(\$LATEST|\d+)$/),
  /** Changes with every change of code or configuration; two revisions never share a sandbox. */
  revision: Token,
  arn: z.string(),
  runtime: z.string(),
  handler: z.string(),
  architecture: Architecture,
  memoryMiB: z.number().int().positive(),
  timeoutMs: z.number().int().positive(),
  tmpMiB: z.number().int().positive(),
  /** Lower-case hexadecimal SHA-256 of the zip in the CODE bucket. */
  codeSha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** SHA-256 of each layer's zip, in the order they are unpacked into /opt. */
  layerSha256s: z.array(z.string()),
  environment: z.record(z.string(), z.string()),
  logFormat: z.enum(["Text", "JSON"]),
  /** What of the network it may reach; absent: nothing. */
  egress: Egress.exactOptional(),
  /** With JSON: what is less important isn't logged. */
  applicationLogLevel: ApplicationLogLevel.exactOptional(),
  systemLogLevel: SystemLogLevel.exactOptional(),
});
export type FunctionSpec = z.infer<typeof FunctionSpec>;

/** One id for everything that may share sandboxes: a subject token. */
export const poolId = (spec: Pick<FunctionSpec, "acct" | "fn" | "version" | "revision">): string =>
  `${spec.acct}-${spec.fn}-${spec.version === "$LATEST" ? "latest" : spec.version}-${spec.revision}`;

/** The Lambda API's FunctionConfiguration: what Get, Create and Update answer. */
export const FunctionConfiguration = z.object({
  FunctionName: z.string(),
  FunctionArn: z.string(),
  Runtime: z.string(),
  Role: z.string(),
  Handler: z.string(),
  CodeSize: z.number(),
  Description: z.string(),
  Timeout: z.number(),
  MemorySize: z.number(),
  /** `2025-11-24T23:08:09.123+0000` */
  LastModified: z.string(),
  /** Base64 SHA-256 of the zip. */
  CodeSha256: z.string(),
  Version: z.string(),
  Environment: z.object({ Variables: z.record(z.string(), z.string()) }).optional(),
  TracingConfig: z.object({ Mode: z.enum(["Active", "PassThrough"]) }),
  RevisionId: z.string(),
  Layers: z.array(z.object({ Arn: z.string(), CodeSize: z.number() })).optional(),
  State: z.enum(["Pending", "Active", "Inactive", "Failed"]),
  StateReason: z.string().optional(),
  StateReasonCode: z.string().optional(),
  LastUpdateStatus: z.enum(["Successful", "InProgress", "Failed"]).optional(),
  LastUpdateStatusReason: z.string().optional(),
  LastUpdateStatusReasonCode: z.string().optional(),
  PackageType: z.literal("Zip"),
  Architectures: z.array(Architecture).length(1),
  EphemeralStorage: z.object({ Size: z.number() }),
  /** Where events go that could not be run: a Destination, as in event-invoke.ts. */
  DeadLetterConfig: z.object({ TargetArn: z.string() }).optional(),
  SnapStart: z.object({ ApplyOn: z.literal("None"), OptimizationStatus: z.literal("Off") }),
  RuntimeVersionConfig: z.object({ RuntimeVersionArn: z.string() }).optional(),
  LoggingConfig: z.object({
    LogFormat: z.enum(["Text", "JSON"]),
    /** With JSON only, and then always. */
    ApplicationLogLevel: ApplicationLogLevel.exactOptional(),
    SystemLogLevel: SystemLogLevel.exactOptional(),
    LogGroup: z.string(),
  }),
  /** Ours, not shown: what the packages are that `CodeSha256` and `Layers` name. */
  content: z
    .object({
      unzippedBytes: z.number(),
      /** In the order of `Layers`; hexadecimal, as FunctionSpec's. */
      layers: z.array(z.object({ sha256: z.string(), unzippedBytes: z.number() })),
    })
    .optional(),
});
export type FunctionConfiguration = z.infer<typeof FunctionConfiguration>;

/** As the Lambda API shows it. */
export function shown<T extends Pick<FunctionConfiguration, "content">>(configuration: T): Omit<T, "content"> {
  const { content: _ours, ...theirs } = configuration;
  return theirs;
}

export const Alias = z.object({
  Name: z.string(),
  FunctionVersion: z.string(),
  Description: z.string(),
  RevisionId: z.string(),
});
export type Alias = z.infer<typeof Alias>;

/** The value at key `<acct>.<fn>` of FUNCTIONS. Published versions are FunctionConfigurations at `<acct>.<fn>.<version>`. */
export const FunctionRecord = z.object({
  acct: AccountId,
  fn: Token,
  /** `$LATEST`, as the API shows it, an update in progress included. */
  configuration: FunctionConfiguration,
  /** `$LATEST`, as invokes run it: the last configuration that was applied whole. Absent until the function is Active. */
  serving: FunctionConfiguration.optional(),
  reservedConcurrency: z.number().int().nonnegative().optional(),
  /** By qualifier: `$LATEST`, a version's number, an alias. */
  eventInvoke: z.record(z.string(), EventInvokeConfig).default({}),
  queue: QueueConfig.default({}),
  /** Of all its versions; absent until somebody has said. */
  egress: EgressConfig.exactOptional(),
  aliases: z.record(z.string(), Alias),
  /** The number the next published version gets; numbers are never used twice. */
  nextVersion: z.number().int().positive(),
  tags: z.record(z.string(), z.string()),
  /** The numbers of the versions that exist, oldest first: only what is listed here counts as published. */
  versions: z.array(z.string()).default([]),
  /** The newest version and the Description `$LATEST` had then: publishing an unchanged function answers with it again. */
  published: z.object({ configuration: FunctionConfiguration, description: z.string() }).optional(),
  /** The version that becomes Active, or Failed, together with the work that is under way. */
  publishing: z.string().optional(),
  /** Epoch ms. Being deleted: it counts as gone, what is left of it is being removed. */
  deletingAt: z.number().optional(),
});
export type FunctionRecord = z.infer<typeof FunctionRecord>;

/** An alias may be named `constructor`: only what was really made is found. */
export const aliasOf = ({ aliases }: Pick<FunctionRecord, "aliases">, name: string): Alias | undefined =>
  Object.hasOwn(aliases, name) ? aliases[name] : undefined;

/** Whether it can be called by this: `$LATEST`, one of its versions, or an alias. */
export const hasQualifier = (record: FunctionRecord, qualifier: string): boolean =>
  qualifier === LATEST || record.versions.includes(qualifier) || aliasOf(record, qualifier) !== undefined;

export const functionKey = (acct: string, fn: string): string => `${acct}.${fn}`;
export const versionKey = (acct: string, fn: string, version: string): string => `${acct}.${fn}.${version}`;

const inShort = (revisionId: string): string => revisionId.replaceAll("-", "").slice(0, 12);

/** Turns a configuration into what the data plane runs. `revision` is the RevisionId, and the egress's, without dashes. */
export function specOf(acct: string, configuration: FunctionConfiguration, egress?: EgressConfig): FunctionSpec {
  const { LogFormat, ApplicationLogLevel: application, SystemLogLevel: system } = configuration.LoggingConfig;
  return {
    acct,
    fn: configuration.FunctionName,
    version: configuration.Version,
    revision: inShort(configuration.RevisionId) + (egress === undefined ? "" : inShort(egress.RevisionId)),
    arn: configuration.FunctionArn,
    runtime: configuration.Runtime,
    handler: configuration.Handler,
    architecture: configuration.Architectures[0] ?? "x86_64",
    memoryMiB: configuration.MemorySize,
    timeoutMs: configuration.Timeout * 1000,
    tmpMiB: configuration.EphemeralStorage.Size,
    codeSha256: Buffer.from(configuration.CodeSha256, "base64").toString("hex"),
    layerSha256s: configuration.content?.layers.map(({ sha256 }) => sha256) ?? [],
    environment: configuration.Environment?.Variables ?? {},
    logFormat: LogFormat,
    ...(application === undefined ? {} : { applicationLogLevel: application }),
    ...(system === undefined ? {} : { systemLogLevel: system }),
    ...(egress === undefined || egress.Allow.length === 0 ? {} : { egress: egress.Allow }),
  };
}
