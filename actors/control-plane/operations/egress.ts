/**
 * PutFunctionEgressConfig, Mayfly's own: what of the network a function may reach, in all its versions. It is in force for
 * every invocation that begins after the answer. What nobody may reach, or the owner doesn't permit, is refused here.
 */
import { whyForbidden } from "../../../config/egress-permission.ts";
import { INTERNET, MAX_DESTINATIONS, placeOf } from "../../../subjects/egress.ts";
import { Refused } from "../../../subjects/errors.ts";
import type { FunctionRecord } from "../../../subjects/function.ts";
import type { Command, Decision, Wish } from "../commands.ts";
import type { Constraints } from "../validation/constraints.ts";
import { type Caller, unqualified } from "../validation/names.ts";
import { FUNCTIONS_ONLY } from "./concurrency.ts";

const BE_A_DESTINATION = "be internet, or IPv4 addresses such as 203.0.113.7, 198.51.100.0/24:443 or 192.0.2.53:53/udp";

export const egressBody = ({ egress }: FunctionRecord): object => ({ Allow: egress?.Allow ?? [] });

export function readPutEgress(
  check: Constraints,
  caller: Caller,
  { permittedNetworks = [] }: { readonly permittedNetworks?: readonly string[] },
): Wish<"egress.put"> {
  const fn = unqualified(check, caller, FUNCTIONS_ONLY);
  const given = check.required("Allow", check.texts("Allow"), []);
  if (given.length > MAX_DESTINATIONS)
    check.wrong("Allow", given, `have length less than or equal to ${MAX_DESTINATIONS}`);
  const places = given.filter((each) => each !== INTERNET).map((text) => ({ text, place: placeOf(text) }));
  for (const { text, place } of places) if (place === undefined) check.wrong("Allow", text, BE_A_DESTINATION);
  check.done();
  const reasons = places.flatMap(({ text, place }) => (place && whyForbidden(text, place, permittedNetworks)) ?? []);
  if (reasons.length > 0) throw new Refused("InvalidParameterValueException", `Allow: ${reasons.join("; ")}.`);
  return { type: "egress.put", fn, allow: [...new Set(given)] };
}

export function decidePutEgress(record: FunctionRecord, { allow, revisionIds }: Command<"egress.put">): Decision {
  const before = record.egress?.Allow ?? [];
  // A change of nothing would still end every warm sandbox.
  if (JSON.stringify(before) === JSON.stringify(allow)) return { kind: "answer", body: egressBody(record) };
  const after = { ...record, egress: { Allow: [...allow], RevisionId: revisionIds.latest } };
  return { kind: "write", record: after, body: egressBody(after) };
}
