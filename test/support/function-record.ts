/** A function as the control plane keeps it, Active and unaliased. */
import type { FunctionConfiguration, FunctionRecord } from "../../subjects/function.ts";
import { DEFAULT_ACCOUNT, LATEST } from "../../subjects/tokens.ts";

const configuration = (fn: string, revisionId: string): FunctionConfiguration => ({
  FunctionName: fn,
  FunctionArn: `arn:aws:lambda:us-east-1:${DEFAULT_ACCOUNT}:function:${fn}`,
  Runtime: "nodejs24.x",
  Role: `arn:aws:iam::${DEFAULT_ACCOUNT}:role/test`,
  Handler: "index.handler",
  CodeSize: 1,
  Description: "",
  Timeout: 3,
  MemorySize: 128,
  LastModified: "2025-11-24T23:08:09.123+0000",
  CodeSha256: Buffer.alloc(32).toString("base64"),
  Version: LATEST,
  TracingConfig: { Mode: "PassThrough" },
  RevisionId: revisionId,
  State: "Active",
  LastUpdateStatus: "Successful",
  PackageType: "Zip",
  Architectures: ["x86_64"],
  EphemeralStorage: { Size: 512 },
  SnapStart: { ApplyOn: "None", OptimizationStatus: "Off" },
  LoggingConfig: { LogFormat: "Text", LogGroup: `/aws/lambda/${fn}` },
});

export function functionRecord(fn: string, reservedConcurrency?: number, revisionId = "r1"): FunctionRecord {
  const serving = configuration(fn, revisionId);
  return {
    acct: DEFAULT_ACCOUNT,
    fn,
    configuration: serving,
    serving,
    ...(reservedConcurrency === undefined ? {} : { reservedConcurrency }),
    aliases: {},
    eventInvoke: {},
    queue: {},
    nextVersion: 1,
    tags: {},
    versions: [],
  };
}
