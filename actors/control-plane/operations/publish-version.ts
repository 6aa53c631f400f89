/**
 * PublishVersion: a number for what `$LATEST` is now. An unchanged function keeps its newest version's number.
 * Source: Lambda API reference and recorded answers of Lambda
 */
import { type FunctionConfiguration, type FunctionRecord, shown } from "../../../subjects/function.ts";
import type { Command, Decision, Wish } from "../commands.ts";
import { sameContent, versioned } from "../configuration.ts";
import { invalid, wrongRevision } from "../refusals.ts";
import type { Constraints } from "../validation/constraints.ts";
import { type Caller, unqualified } from "../validation/names.ts";

export function readPublishVersion(check: Constraints, caller: Caller): Wish<"function.publish"> {
  const fn = unqualified(check, caller, "Only the unpublished version, $LATEST, can be published.");
  const wish = {
    type: "function.publish",
    fn,
    description: check.text("Description", { max: 256 }),
    codeSha256: check.text("CodeSha256"),
    revisionId: check.text("RevisionId"),
  } as const;
  check.done();
  return wish;
}

export function decidePublishVersion(record: FunctionRecord, command: Command<"function.publish">): Decision {
  const { configuration } = record;
  const { codeSha256, revisionId } = command;
  if (revisionId !== undefined && revisionId !== configuration.RevisionId)
    return { kind: "refuse", refusal: wrongRevision() };
  if (codeSha256 !== undefined && codeSha256 !== configuration.CodeSha256)
    return {
      kind: "refuse",
      refusal: invalid(
        `CodeSHA256 (${codeSha256}) is different from current CodeSHA256 in $LATEST (${configuration.CodeSha256}). Please try again with the CodeSHA256 in $LATEST.`,
      ),
    };
  const unchanged = unchangedVersion(record);
  if (unchanged !== undefined) return { kind: "answer", body: shown(unchanged) };
  const { record: after, version } = withVersion(record, configuration, command.revisionIds.other, command.description);
  return { kind: "write", record: after, body: shown(version), version: { configuration: version, how: "create" } };
}

/** The newest version, if it still is what `$LATEST` is. */
function unchangedVersion({ configuration, published, versions }: FunctionRecord): FunctionConfiguration | undefined {
  if (published === undefined || !versions.includes(published.configuration.Version)) return undefined;
  const same =
    sameContent(published.configuration, configuration) && published.description === configuration.Description;
  return same ? published.configuration : undefined;
}

/** The record with one more version, made of `latest`. */
export function withVersion(
  record: FunctionRecord,
  latest: FunctionConfiguration,
  revisionId: string,
  description?: string,
): { record: FunctionRecord; version: FunctionConfiguration } {
  const number = String(record.nextVersion);
  const version = versioned(latest, number, revisionId, description);
  return {
    version,
    record: {
      ...record,
      nextVersion: record.nextVersion + 1,
      versions: [...record.versions, number],
      published: { configuration: version, description: latest.Description },
    },
  };
}
