/**
 * The settings of a function that Create and UpdateFunctionConfiguration share, with Lambda's limits.
 * What Lambda offers and this control plane does not is refused by name: nothing is taken and then ignored.
 * Source: Lambda quotas (of on-demand functions).
 */
import { Refused } from "../../../subjects/errors.ts";
import { destinationTarget } from "../../../subjects/event-invoke.ts";
import type { Architecture, CodeSource, Settings } from "../commands.ts";
import type { Constraints } from "./constraints.ts";
import { invalidTarget } from "./destinations.ts";
import { environmentOf } from "./environment.ts";
import { layersOf } from "./layers.ts";
import type { Caller } from "./names.ts";
import { ARCHITECTURES, runtimeOf } from "./runtimes.ts";

const ROLE = "arn:(aws[a-zA-Z-]*)?:iam::\\d{12}:role/?[a-zA-Z_0-9+=,.@\\-_/]+";
const BUCKET = "CODE";
const SHA256 = /^[0-9a-f]{64}$/;

/** Fields whose absence, or an empty value, asks for nothing. */
const UNSUPPORTED = [
  "CapacityProviderConfig",
  "CodeSigningConfigArn",
  "DurableConfig",
  "FileSystemConfigs",
  "ImageConfig",
  "KMSKeyArn",
  "PublishTo",
  "TenancyConfig",
  "VpcConfig",
] as const;

/** Reads every setting that is given; `check.done()` is the caller's. */
export function settingsOf(check: Constraints, caller: Caller): Settings {
  refuseUnsupported(check);
  const found = {
    Runtime: runtimeOf(check, caller),
    Role: check.text("Role", { pattern: ROLE }),
    Handler: check.text("Handler", { max: 128, pattern: "[^\\s]+" }),
    Description: check.text("Description", { max: 256 }),
    Timeout: check.integer("Timeout", { min: 1, max: 900 }),
    MemorySize: check.integer("MemorySize", { min: 128, max: 10_240 }),
    Environment: environmentOf(check),
    TracingConfig: tracingOf(check),
    DeadLetterConfig: deadLettersOf(check),
    EphemeralStorage: ephemeralStorageOf(check),
    LoggingConfig: loggingOf(check),
    Layers: layersOf(check),
  };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined)) as Settings;
}

export function architectureOf(check: Constraints): Architecture | undefined {
  const given = check.texts("Architectures");
  if (given === undefined) return undefined;
  const [architecture] = given;
  if (given.length !== 1) check.wrong("Architectures", given, "have length equal to 1");
  else if (!ARCHITECTURES.includes(architecture as Architecture))
    check.wrong(
      "Architectures",
      given,
      `satisfy constraint: [Member must satisfy enum value set: [${ARCHITECTURES.join(", ")}], Member must not be null]`,
    );
  return architecture as Architecture;
}

/** `ZipFile`, or the SHA-256 of a package that was put into the object store beforehand. Throws `Refused`. */
export function codeOf(check: Constraints | undefined): CodeSource {
  const refused = (why: string): never => {
    throw new Refused("InvalidParameterValueException", why);
  };
  if (check === undefined) return refused("Please provide a source for function code.");
  if (check.has("ImageUri"))
    return refused("Please don't provide ImageUri when updating a function with packageType Zip.");
  const zipBase64 = check.text("ZipFile");
  const bucket = check.text("S3Bucket");
  const sha256 = check.text("S3Key");
  if (zipBase64 !== undefined) {
    if (bucket !== undefined || sha256 !== undefined)
      return refused("Please do not provide other FunctionCode parameters when providing a ZipFile.");
    return { zipBase64 };
  }
  if (bucket === undefined || sha256 === undefined) return refused("Please provide a source for function code.");
  if (bucket !== BUCKET)
    return refused(
      "Error occurred while GetObject. S3 Error Code: NoSuchBucket. S3 Error Message: The specified bucket does not exist",
    );
  return SHA256.test(sha256) ? { sha256 } : refused(NO_SUCH_KEY);
}

export const NO_SUCH_KEY =
  "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist.";

function tracingOf(check: Constraints): Settings["TracingConfig"] {
  const Mode = check.inside("TracingConfig")?.choice("Mode", ["Active", "PassThrough"]);
  return Mode === undefined ? undefined : { Mode };
}

/** Lambda's dead-letter targets are a queue or a topic, never a function: here a subject or a stream. */
function deadLettersOf(check: Constraints): Settings["DeadLetterConfig"] {
  const inside = check.inside("DeadLetterConfig");
  if (inside === undefined) return undefined;
  const TargetArn = inside.text("TargetArn") ?? "";
  const target = destinationTarget(TargetArn);
  if (TargetArn !== "" && (target === undefined || target.kind === "function"))
    throw new Refused("InvalidParameterValueException", invalidTarget(TargetArn));
  return { TargetArn };
}

function ephemeralStorageOf(check: Constraints): Settings["EphemeralStorage"] {
  const inside = check.inside("EphemeralStorage");
  if (inside === undefined) return undefined;
  return { Size: inside.required("Size", inside.integer("Size", { min: 512, max: 10_240 }), 512) };
}

function loggingOf(check: Constraints): Settings["LoggingConfig"] {
  const inside = check.inside("LoggingConfig");
  if (inside === undefined) return undefined;
  const LogFormat = inside.choice("LogFormat", ["JSON", "Text"]);
  const LogGroup = inside.text("LogGroup", { min: 1, max: 512, pattern: "[\\.\\-_/#A-Za-z0-9]+" });
  const ApplicationLogLevel = inside.choice("ApplicationLogLevel", [
    "TRACE",
    "DEBUG",
    "INFO",
    "WARN",
    "ERROR",
    "FATAL",
  ]);
  const SystemLogLevel = inside.choice("SystemLogLevel", ["DEBUG", "INFO", "WARN"]);
  return {
    ...(LogFormat === undefined ? {} : { LogFormat }),
    ...(LogGroup === undefined ? {} : { LogGroup }),
    ...(ApplicationLogLevel === undefined ? {} : { ApplicationLogLevel }),
    ...(SystemLogLevel === undefined ? {} : { SystemLogLevel }),
  };
}

/** Refuses by name every one of the fields that asks for something. */
export function refuseAsking(check: Constraints, fields: readonly string[]): void {
  for (const field of fields) if (asksForSomething(check.given(field))) refuseField(field);
}

function refuseUnsupported(check: Constraints): void {
  const packageType = check.choice("PackageType", ["Image", "Zip"]);
  if (packageType === "Image") refuseField("PackageType Image");
  if (check.inside("SnapStart")?.choice("ApplyOn", ["PublishedVersions", "None"]) === "PublishedVersions")
    refuseField("SnapStart");
  refuseAsking(check, UNSUPPORTED);
}

/** A field that is missing, empty, or false in all it holds asks for nothing. */
export function asksForSomething(value: unknown): boolean {
  if (value === undefined || value === null || value === "" || value === false) return false;
  return typeof value === "object" ? Object.values(value).some(asksForSomething) : true;
}

function refuseField(field: string): never {
  throw new Refused("InvalidParameterValueException", `${field} is not supported by this control plane.`);
}
