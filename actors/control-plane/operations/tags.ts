/** TagResource and UntagResource, on functions by their ARN. Source: Lambda API reference and recorded answers of Lambda */
import type { FunctionRecord } from "../../../subjects/function.ts";
import type { Command, Decision, Wish } from "../commands.ts";
import { invalid } from "../refusals.ts";
import type { Constraints } from "../validation/constraints.ts";
import { type Caller, unqualified } from "../validation/names.ts";
import { MAX_TAGS, TOO_MANY_TAGS, tagsOf } from "../validation/tags.ts";

const FUNCTIONS_ONLY = "Tags on function aliases and versions are not supported. Please specify a function ARN.";

export const taggedFunction = (check: Constraints, caller: Caller): string =>
  unqualified(check, caller, FUNCTIONS_ONLY, "Resource");

export function readTagResource(check: Constraints, caller: Caller): Wish<"tags.add"> {
  const fn = taggedFunction(check, caller);
  const tags = check.required("Tags", tagsOf(check), {});
  check.done();
  return { type: "tags.add", fn, tags };
}

export function readUntagResource(check: Constraints, caller: Caller): Wish<"tags.remove"> {
  const fn = taggedFunction(check, caller);
  const keys = check.required("TagKeys", check.texts("TagKeys"), []);
  check.done();
  return { type: "tags.remove", fn, keys };
}

export function decideTag(record: FunctionRecord, command: Command<"tags.add">): Decision {
  const tags = { ...record.tags, ...command.tags };
  if (Object.keys(tags).length > MAX_TAGS) return { kind: "refuse", refusal: invalid(TOO_MANY_TAGS) };
  return { kind: "write", record: { ...record, tags }, body: {} };
}

export function decideUntag(record: FunctionRecord, { keys }: Command<"tags.remove">): Decision {
  const tags = Object.fromEntries(Object.entries(record.tags).filter(([key]) => !keys.includes(key)));
  return { kind: "write", record: { ...record, tags }, body: {} };
}
