/** CreateFunction: 201 with the configuration, State Pending. Source: Lambda API reference and recorded answers of Lambda */
import { Refused } from "../../../subjects/errors.ts";
import { type FunctionRecord, shown } from "../../../subjects/function.ts";
import type { Command, Decision, Findings, Wish } from "../commands.ts";
import { created, unfit } from "../configuration.ts";
import { invalid } from "../refusals.ts";
import type { Constraints } from "../validation/constraints.ts";
import { type Caller, unqualified } from "../validation/names.ts";
import { architectureOf, codeOf, settingsOf } from "../validation/settings.ts";
import { tagsOf } from "../validation/tags.ts";
import { withVersion } from "./publish-version.ts";

export function readCreateFunction(check: Constraints, caller: Caller): Wish<"function.create"> {
  const fn = unqualified(check, caller, "A version or an alias can't be created by CreateFunction.");
  const settings = settingsOf(check, caller);
  const architecture = architectureOf(check) ?? "x86_64";
  const Role = check.required("Role", settings.Role, "");
  const code = check.has("Code") ? check.inside("Code") : undefined;
  if (code === undefined) check.required("Code", undefined, "");
  const tags = tagsOf(check) ?? {};
  check.done();
  return {
    type: "function.create",
    fn,
    settings: {
      ...settings,
      Role,
      Runtime: mandatory(settings.Runtime, "Runtime"),
      Handler: mandatory(settings.Handler, "Handler"),
    },
    architecture,
    code: codeOf(code),
    tags,
    publish: check.flag("Publish"),
  };
}

/** The function doesn't exist: its record begins. */
export function decideCreateFunction(command: Command<"function.create">, findings: Findings): Decision {
  if (findings.package === undefined)
    return { kind: "refuse", refusal: invalid("Please provide a source for function code.") };
  const configuration = created(command, findings.package, findings.layers ?? []);
  const refusal = unfit(configuration);
  if (refusal !== undefined) return { kind: "refuse", refusal };
  const record: FunctionRecord = {
    acct: command.acct,
    fn: command.fn,
    configuration,
    aliases: {},
    eventInvoke: {},
    queue: {},
    nextVersion: 1,
    tags: command.tags,
    versions: [],
  };
  if (!command.publish) return { kind: "write", record, body: shown(configuration) };
  // Version 1 becomes Active together with `$LATEST`. CreateFunction answers with the unqualified ARN all the same.
  const { record: after, version } = withVersion(record, configuration, command.revisionIds.other);
  return {
    kind: "write",
    record: { ...after, publishing: version.Version },
    body: { ...shown(version), FunctionArn: configuration.FunctionArn },
    version: { configuration: version, how: "create" },
  };
}

function mandatory(value: string | undefined, field: string): string {
  if (value !== undefined) return value;
  throw new Refused(
    "InvalidParameterValueException",
    `${field} is mandatory for functions created with deployment packages.`,
  );
}
