/**
 * The ways Lambda lets a caller name a layer and its versions, and what may be said of one.
 * Source: Lambda API reference, `LayerName`, `LayerVersionArn`, and recorded answers of Lambda.
 */
import { Refused } from "../../../subjects/errors.ts";
import type { Constraints } from "./constraints.ts";
import type { Caller } from "./names.ts";
import { ARCHITECTURES, LAMBDA_RUNTIMES } from "./runtimes.ts";

const LAYER = "arn:[a-zA-Z0-9-]+:lambda:[a-zA-Z0-9-]+:\\d{12}:layer:[a-zA-Z0-9-_]+";
const NAME = `(${LAYER})|[a-zA-Z0-9-_]+`;
const VERSION = `${LAYER}:[0-9]+`;
const PARTS =
  /^arn:[a-zA-Z0-9-]+:lambda:(?<region>[a-zA-Z0-9-]+):(?<acct>\d{12}):layer:(?<layer>[a-zA-Z0-9-_]+)(?::(?<version>\d+))?$/;
/** Of a version's whole ARN, and so of a layer's name too. */
const MAX_ARN = 140;
const MAX_LAYERS = 5;

export interface LayerVersionNamed {
  readonly layer: string;
  readonly version: number;
}

export const layerArn = ({ acct, region }: Caller, layer: string): string =>
  `arn:aws:lambda:${region}:${acct}:layer:${layer}`;

/** Reads `LayerName`: a name or an ARN without a version. Throws `Refused`. */
export function layerNamed(check: Constraints, caller: Caller): string {
  const given = check.required("LayerName", check.text("LayerName", { min: 1, max: MAX_ARN, pattern: NAME }), "");
  check.done();
  if (!given.startsWith("arn:")) return given;
  return ownParts(given, caller).layer;
}

/** Reads `LayerName` and `VersionNumber`. Throws `Refused`. */
export function layerVersionNamed(check: Constraints, caller: Caller): LayerVersionNamed {
  const given = check.integer("VersionNumber", {
    min: Number.MIN_SAFE_INTEGER,
    max: Number.MAX_SAFE_INTEGER,
  });
  const version = check.required("VersionNumber", given, 1);
  const layer = layerNamed(check, caller);
  if (version < 1) throw new Refused("InvalidParameterValueException", "Layer Version Cannot be less than 1.");
  return { layer, version };
}

/** Reads `Arn`, of a version. Throws `Refused`. */
export function layerVersionByArn(check: Constraints, caller: Caller): LayerVersionNamed {
  const arn = check.required("Arn", check.text("Arn", { min: 1, max: MAX_ARN, pattern: VERSION }), "");
  check.done();
  const { layer, version } = ownParts(arn, caller);
  return { layer, version: Number(version) };
}

/** Reads a function's `Layers`. Whose they are and whether they exist is seen later, see `versionInUse`. Throws `Refused`. */
export function layersOf(check: Constraints): readonly string[] | undefined {
  const arns = check.texts("Layers");
  if (arns === undefined) return undefined;
  if (arns.length > MAX_LAYERS)
    throw new Refused("InvalidParameterValueException", `Cannot reference more than ${MAX_LAYERS} layers.`);
  const isVersion = (arn: string) => arn.length <= MAX_ARN && new RegExp(`^${VERSION}$`).test(arn);
  if (!arns.every(isVersion))
    check.wrong(
      "Layers",
      `[${arns.join(", ")}]`,
      `satisfy constraint: [Member must have length less than or equal to ${MAX_ARN}, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: ${VERSION}, Member must not be null]`,
    );
  return arns;
}

/** The version that a function of the caller names. Throws `Refused` for one of another region or account. */
export function versionInUse(arn: string, caller: Caller): LayerVersionNamed {
  const { region, acct, layer = "", version } = PARTS.exec(arn)?.groups ?? {};
  if (region !== caller.region)
    throw new Refused(
      "InvalidParameterValueException",
      `Layers are not in the same region as the function. Layers are expected to be in region ${caller.region}.`,
    );
  if (acct !== caller.acct) throw notAuthorized(caller, arn);
  return { layer, version: Number(version) };
}

/** Refuses two versions of one layer. Throws `Refused`. */
export function refuseSameLayer(arns: readonly string[]): void {
  const seen = new Map<string, string>();
  for (const arn of arns) {
    const layer = arn.slice(0, arn.lastIndexOf(":"));
    const other = seen.get(layer);
    if (other !== undefined)
      throw new Refused(
        "InvalidParameterValueException",
        `Two different versions of the same layer are not allowed to be referenced in the same function. ${other} and ${arn} are versions of the same layer.`,
      );
    seen.set(layer, arn);
  }
}

/** Runtimes and architectures a layer is for; of nothing but its publisher's word. */
export function compatibilityOf(check: Constraints) {
  const runtimes = check.texts("CompatibleRuntimes");
  if (runtimes !== undefined && runtimes.length > 15)
    check.wrong("CompatibleRuntimes", runtimes, "have length less than or equal to 15");
  if (runtimes?.some((each) => !LAMBDA_RUNTIMES.includes(each)))
    check.wrong("CompatibleRuntimes", listText(runtimes), allIn(LAMBDA_RUNTIMES));
  const architectures = check.texts("CompatibleArchitectures");
  if (architectures !== undefined && architectures.length > 2)
    check.wrong("CompatibleArchitectures", architectures, "have length less than or equal to 2");
  if (architectures?.some((each) => !ARCHITECTURES.some((one) => one === each)))
    check.wrong("CompatibleArchitectures", listText(architectures), allIn(ARCHITECTURES));
  return { runtimes, architectures };
}

/** What a listing is narrowed to. */
export const compatibleWith = (check: Constraints) => ({
  runtime: check.choice("CompatibleRuntime", LAMBDA_RUNTIMES),
  architecture: check.choice("CompatibleArchitecture", ARCHITECTURES),
});

const listText = (values: readonly string[]): string => `[${values.join(", ")}]`;
const allIn = (values: readonly string[]): string =>
  `satisfy constraint: [Member must satisfy enum value set: ${listText(values)}, Member must not be null]`;

/** Of an ARN whose form is right. Throws `Refused` when it isn't the caller's. */
function ownParts(arn: string, caller: Caller): { layer: string; version: string | undefined } {
  const { region, acct, layer = "", version } = PARTS.exec(arn)?.groups ?? {};
  if (region !== caller.region)
    throw new Refused(
      "ResourceNotFoundException",
      `Layers from '${region}' are not reachable in this region ('${caller.region}')`,
    );
  if (acct !== caller.acct) throw notAuthorized(caller, arn);
  return { layer, version };
}

const notAuthorized = ({ acct }: Caller, arn: string): Refused =>
  new Refused(
    "AccessDeniedException",
    `Account ${acct} is not authorized to perform: lambda:GetLayerVersion on resource: ${arn} because no resource-based policy allows the lambda:GetLayerVersion action`,
  );
