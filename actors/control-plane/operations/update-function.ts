/**
 * UpdateFunctionCode and UpdateFunctionConfiguration: the configuration with LastUpdateStatus InProgress. Invokes go on
 * with what served before until the update is successful. Source: Lambda API reference and recorded answers of Lambda
 */
import { type FunctionConfiguration, type FunctionRecord, shown } from "../../../subjects/function.ts";
import type { Command, Decision, Findings, Wish } from "../commands.ts";
import { changed, unfit } from "../configuration.ts";
import { invalid, wrongRevision } from "../refusals.ts";
import type { Constraints } from "../validation/constraints.ts";
import { type Caller, unqualified } from "../validation/names.ts";
import { architectureOf, codeOf, settingsOf } from "../validation/settings.ts";
import { withVersion } from "./publish-version.ts";

const ONLY_LATEST = "Only the unpublished version, $LATEST, can be updated.";

export function readUpdateCode(check: Constraints, caller: Caller): Wish<"function.update-code"> {
  const fn = unqualified(check, caller, ONLY_LATEST);
  const architecture = architectureOf(check);
  const wish = {
    type: "function.update-code",
    fn,
    architecture,
    publish: check.flag("Publish"),
    dryRun: check.flag("DryRun"),
    revisionId: check.text("RevisionId"),
  } as const;
  check.done();
  return { ...wish, code: codeOf(check) };
}

export function readUpdateConfiguration(check: Constraints, caller: Caller): Wish<"function.update-configuration"> {
  const fn = unqualified(check, caller, ONLY_LATEST);
  const settings = settingsOf(check, caller);
  const revisionId = check.text("RevisionId");
  check.done();
  return { type: "function.update-configuration", fn, settings, revisionId };
}

export function decideUpdateCode(
  record: FunctionRecord,
  command: Command<"function.update-code">,
  findings: Findings,
): Decision {
  const { configuration } = record;
  if (findings.package === undefined)
    return { kind: "refuse", refusal: invalid("Please provide a source for function code.") };
  if (isStale(command.revisionId, configuration)) return { kind: "refuse", refusal: wrongRevision() };
  const update = changed(configuration, { package: findings.package, architecture: command.architecture }, command);
  const refusal = unfit(update);
  if (refusal !== undefined) return { kind: "refuse", refusal };
  if (command.dryRun) return { kind: "answer", body: { ...shown(update), RevisionId: configuration.RevisionId } };
  if (!command.publish) return { kind: "write", record: { ...record, configuration: update }, body: shown(update) };
  const { record: after, version } = withVersion(record, update, command.revisionIds.other);
  return {
    kind: "write",
    record: { ...after, configuration: update, publishing: version.Version },
    body: shown(version),
    version: { configuration: version, how: "create" },
  };
}

export function decideUpdateConfiguration(
  record: FunctionRecord,
  command: Command<"function.update-configuration">,
  { layers }: Findings,
): Decision {
  const { configuration } = record;
  if (isStale(command.revisionId, configuration)) return { kind: "refuse", refusal: wrongRevision() };
  const named = layers === undefined ? {} : { layers };
  const update = changed(configuration, { settings: command.settings, ...named }, command);
  const refusal = unfit(update);
  if (refusal !== undefined) return { kind: "refuse", refusal };
  return { kind: "write", record: { ...record, configuration: update }, body: shown(update) };
}

const isStale = (revisionId: string | undefined, { RevisionId }: FunctionConfiguration): boolean =>
  revisionId !== undefined && revisionId !== RevisionId;
