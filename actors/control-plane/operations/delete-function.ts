/**
 * DeleteFunction: the function with its versions and aliases, or, with a Qualifier, one version. Deleting a function first
 * marks its record, so that a crash in between leaves something to finish; the rest is the machine's `deleting` state.
 * Source: Lambda API reference and recorded answers of Lambda
 */
import { Refused, refusal } from "../../../subjects/errors.ts";
import type { FunctionRecord } from "../../../subjects/function.ts";
import { LATEST } from "../../../subjects/tokens.ts";
import type { Command, Decision, Wish } from "../commands.ts";
import type { Constraints } from "../validation/constraints.ts";
import { type Caller, functionNamed } from "../validation/names.ts";
import { withoutSettingsOf } from "./event-invoke.ts";

const NUMBER = /^[0-9]+$/;

export function readDeleteFunction(
  check: Constraints,
  caller: Caller,
): Wish<"function.delete"> | Wish<"version.delete"> {
  const { fn, qualifier } = functionNamed(check, caller);
  if (qualifier === undefined) return { type: "function.delete", fn };
  if (qualifier === LATEST)
    throw new Refused(
      "InvalidParameterValueException",
      "$LATEST version cannot be deleted without deleting the function.",
    );
  if (!NUMBER.test(qualifier))
    throw new Refused("InvalidParameterValueException", "Deletion of aliases is not currently supported.");
  return { type: "version.delete", fn, version: qualifier };
}

/** From here on the function counts as gone: it serves nothing and every other operation says it isn't there. */
export function decideDeleteFunction(record: FunctionRecord, command: Command<"function.delete">): Decision {
  const { serving: _serving, ...rest } = record;
  return { kind: "write", record: { ...rest, deletingAt: command.at }, body: {} };
}

/** A version that isn't there is deleted already. */
export function decideDeleteVersion(record: FunctionRecord, { version }: Command<"version.delete">): Decision {
  if (!record.versions.includes(version)) return { kind: "answer", body: {} };
  const pointing = Object.values(record.aliases).filter((alias) => alias.FunctionVersion === version);
  if (pointing.length > 0)
    return {
      kind: "refuse",
      refusal: refusal(
        "ResourceConflictException",
        `Version ${version} can't be deleted: aliases point to it: ${pointing.map((alias) => alias.Name).join(", ")}`,
      ),
    };
  const { published, publishing, ...rest } = withoutSettingsOf(record, version);
  return {
    kind: "write",
    record: {
      ...rest,
      versions: record.versions.filter((each) => each !== version),
      ...(published === undefined || published.configuration.Version === version ? {} : { published }),
      ...(publishing === undefined || publishing === version ? {} : { publishing }),
    },
    body: {},
    dropVersion: version,
  };
}
