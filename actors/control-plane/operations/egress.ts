/**
 * PutFunctionEgressConfig, Mayfly's own: what of the network a function may reach, in all its versions. It is in force for
 * every invocation that begins after the answer.
 */
import { NEVER } from "../../../config/address-ranges.ts";
import { INTERNET, isWithin, MAX_DESTINATIONS, placeOf, rangeOf } from "../../../subjects/egress.ts";
import type { FunctionRecord } from "../../../subjects/function.ts";
import type { Command, Decision, Wish } from "../commands.ts";
import type { Constraints } from "../validation/constraints.ts";
import { type Caller, unqualified } from "../validation/names.ts";
import { FUNCTIONS_ONLY } from "./concurrency.ts";

export const egressBody = ({ egress }: FunctionRecord): object => ({ Allow: egress?.Allow ?? [] });

export function readPutEgress(check: Constraints, caller: Caller): Wish<"egress.put"> {
  const fn = unqualified(check, caller, FUNCTIONS_ONLY);
  const given = check.required("Allow", check.texts("Allow"), []);
  if (given.length > MAX_DESTINATIONS)
    check.wrong("Allow", given, `have length less than or equal to ${MAX_DESTINATIONS}`);
  for (const each of given) {
    const problem = problemWith(each);
    if (problem !== undefined) check.wrong("Allow", each, problem);
  }
  check.done();
  return { type: "egress.put", fn, allow: [...new Set(given)] };
}

export function decidePutEgress(record: FunctionRecord, { allow, revisionIds }: Command<"egress.put">): Decision {
  const before = record.egress?.Allow ?? [];
  // A change of nothing would still end every warm sandbox.
  if (JSON.stringify(before) === JSON.stringify(allow)) return { kind: "answer", body: egressBody(record) };
  const after = { ...record, egress: { Allow: [...allow], RevisionId: revisionIds.latest } };
  return { kind: "write", record: after, body: egressBody(after) };
}

function problemWith(destination: string): string | undefined {
  if (destination === INTERNET) return undefined;
  const place = placeOf(destination);
  if (place === undefined)
    return "be internet, or IPv4 addresses such as 203.0.113.7, 198.51.100.0/24:443 or 192.0.2.53:53/udp";
  const never = NEVER.find((cidr) => {
    const range = rangeOf(cidr);
    return range !== undefined && isWithin(place.addresses, range);
  });
  return never === undefined ? undefined : `not be in ${never}, which no function may reach`;
}
