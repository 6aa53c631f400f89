/** Tags: how many, how long, which names are taken. Source: Lambda API reference and recorded answers of Lambda */
import { Refused } from "../../../subjects/errors.ts";
import type { Constraints } from "./constraints.ts";

export const MAX_TAGS = 50;
export const TOO_MANY_TAGS = "Number of tags exceeds resource tag limit.";
const MAX_KEY = 128;
const MAX_VALUE = 256;

export function tagsOf(check: Constraints): Record<string, string> | undefined {
  const tags = check.map("Tags");
  if (tags === undefined) return undefined;
  const entries = Object.entries(tags);
  if (entries.some(([key, value]) => key.length === 0 || key.length > MAX_KEY || value.length > MAX_VALUE))
    check.wrong("Tags", tags, `have keys of 1 to ${MAX_KEY} and values of at most ${MAX_VALUE} characters`);
  if (entries.some(([key]) => key.toLowerCase().startsWith("aws:")))
    check.wrong("Tags", tags, "not have keys that begin with aws:");
  if (entries.length > MAX_TAGS) throw new Refused("InvalidParameterValueException", TOO_MANY_TAGS);
  return tags;
}
