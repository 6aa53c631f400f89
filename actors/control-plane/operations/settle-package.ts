/**
 * What the look at a package comes to: the function is Active and serves the new configuration, or it (or its update)
 * failed. A version that was being published settles with it. A look at what has been changed since says nothing.
 */
import type { FunctionConfiguration, FunctionRecord } from "../../../subjects/function.ts";
import type { Command, Decision, VersionWrite } from "../commands.ts";
import { creationFailed, succeeded, updateFailed } from "../configuration.ts";

export function decideVerified(record: FunctionRecord, command: Command<"package.verified">): Decision {
  const { publishing, ...rest } = record;
  if (command.revisionId !== record.configuration.RevisionId) return { kind: "answer", body: {} };
  const configuration = succeeded(record.configuration, command.revisionIds.latest);
  return settled({ ...rest, configuration, serving: configuration }, publishing, (version) =>
    succeeded(version, command.revisionIds.other),
  );
}

export function decideRefused(record: FunctionRecord, command: Command<"package.refused">): Decision {
  const { publishing, ...rest } = record;
  if (command.revisionId !== record.configuration.RevisionId) return { kind: "answer", body: {} };
  const { latest, other } = command.revisionIds;
  const configuration =
    record.serving === undefined
      ? creationFailed(record.configuration, latest, command)
      : updateFailed(record.serving, latest, command);
  return settled({ ...rest, configuration }, publishing, (version) => creationFailed(version, other, command));
}

/** Writes the version that was being published together with the record. */
function settled(
  record: FunctionRecord,
  publishing: string | undefined,
  settle: (version: FunctionConfiguration) => FunctionConfiguration,
): Decision {
  const { published } = record;
  if (
    published === undefined ||
    published.configuration.Version !== publishing ||
    !record.versions.includes(publishing)
  )
    return { kind: "write", record, body: {} };
  const configuration = settle(published.configuration);
  const version: VersionWrite = { configuration, how: "replace" };
  return { kind: "write", record: { ...record, published: { ...published, configuration } }, body: {}, version };
}
