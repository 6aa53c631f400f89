/**
 * CreateAlias, UpdateAlias, DeleteAlias: names that point to a version. Pointing to two versions at once is refused by
 * name. Source: Lambda API reference and recorded answers of Lambda
 */
import { Refused, refusal } from "../../../subjects/errors.ts";
import { type Alias, aliasOf, type FunctionRecord } from "../../../subjects/function.ts";
import { LATEST } from "../../../subjects/tokens.ts";
import type { Command, Decision, Wish } from "../commands.ts";
import { functionNotFound, wrongRevision } from "../refusals.ts";
import type { Constraints } from "../validation/constraints.ts";
import { type Caller, unqualified } from "../validation/names.ts";
import { withoutSettingsOf } from "./event-invoke.ts";

const NAME = "(?!^[0-9]+$)([a-zA-Z0-9-_]+)";
const VERSION = "(\\$LATEST|[0-9]+)";
const OF_FUNCTIONS_ONLY = "An alias belongs to a function: name it without a version or an alias.";

/** An alias as the API shows it. */
export const aliasBody = (arn: string, alias: Alias): object => ({ AliasArn: `${arn}:${alias.Name}`, ...alias });

/** The function and the alias's name. */
export function readAliasName(check: Constraints, caller: Caller): { fn: string; alias: string } {
  const fn = unqualified(check, caller, OF_FUNCTIONS_ONLY);
  const alias = check.required("Name", check.text("Name", { min: 1, max: 128, pattern: NAME }), "");
  return { fn, alias };
}

export function readCreateAlias(check: Constraints, caller: Caller): Wish<"alias.create"> {
  const named = readAliasName(check, caller);
  const version = check.required("FunctionVersion", versionOf(check), LATEST);
  const description = check.text("Description", { max: 256 }) ?? "";
  check.done();
  refuseRouting(check);
  return { type: "alias.create", ...named, version, description };
}

export function readUpdateAlias(check: Constraints, caller: Caller): Wish<"alias.update"> {
  const named = readAliasName(check, caller);
  const version = versionOf(check);
  const description = check.text("Description", { max: 256 });
  const revisionId = check.text("RevisionId");
  check.done();
  refuseRouting(check);
  return { type: "alias.update", ...named, version, description, revisionId };
}

export function readDeleteAlias(check: Constraints, caller: Caller): Wish<"alias.delete"> {
  const named = readAliasName(check, caller);
  check.done();
  return { type: "alias.delete", ...named };
}

export function decideCreateAlias(record: FunctionRecord, command: Command<"alias.create">): Decision {
  const { alias: name, version, description, arn, revisionIds } = command;
  if (aliasOf(record, name) !== undefined)
    return { kind: "refuse", refusal: refusal("ResourceConflictException", `Alias already exists: ${arn}:${name}`) };
  if (!hasVersion(record, version)) return { kind: "refuse", refusal: functionNotFound(`${arn}:${version}`) };
  return withAlias(record, arn, {
    Name: name,
    FunctionVersion: version,
    Description: description,
    RevisionId: revisionIds.other,
  });
}

export function decideUpdateAlias(record: FunctionRecord, command: Command<"alias.update">): Decision {
  const { alias: name, version, description, revisionId, arn, revisionIds } = command;
  const before = aliasOf(record, name);
  if (before === undefined)
    return { kind: "refuse", refusal: refusal("ResourceNotFoundException", `Alias not found: ${arn}:${name}`) };
  if (revisionId !== undefined && revisionId !== before.RevisionId) return { kind: "refuse", refusal: wrongRevision() };
  const FunctionVersion = version ?? before.FunctionVersion;
  if (!hasVersion(record, FunctionVersion))
    return { kind: "refuse", refusal: functionNotFound(`${arn}:${FunctionVersion}`) };
  const Description = description ?? before.Description;
  return withAlias(record, arn, { Name: name, FunctionVersion, Description, RevisionId: revisionIds.other });
}

/** An alias that isn't there is deleted already. */
export function decideDeleteAlias(record: FunctionRecord, { alias }: Command<"alias.delete">): Decision {
  const { [alias]: deleted, ...aliases } = record.aliases;
  if (deleted === undefined) return { kind: "answer", body: {} };
  return { kind: "write", record: { ...withoutSettingsOf(record, alias), aliases }, body: {} };
}

const withAlias = (record: FunctionRecord, arn: string, alias: Alias): Decision => ({
  kind: "write",
  record: { ...record, aliases: { ...record.aliases, [alias.Name]: alias } },
  body: aliasBody(arn, alias),
});

const hasVersion = (record: FunctionRecord, version: string): boolean =>
  version === LATEST || record.versions.includes(version);

const versionOf = (check: Constraints) => check.text("FunctionVersion", { min: 1, max: 1024, pattern: VERSION });

function refuseRouting(check: Constraints): void {
  const weights = check.inside("RoutingConfig")?.given("AdditionalVersionWeights");
  if (weights !== undefined && weights !== null && Object.keys(weights).length > 0)
    throw new Refused("InvalidParameterValueException", "RoutingConfig is not supported by this control plane.");
}
