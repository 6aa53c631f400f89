/** What of the network a function may reach, as a person says it: `none`, `internet`, or destinations with commas between. */
import { z } from "zod";
import { PRIVATE } from "../config/address-ranges.ts";
import { whyForbidden } from "../config/egress-permission.ts";
import { INTERNET, placeOf } from "../subjects/egress.ts";
import { callApi } from "./api.ts";
import { Misused } from "./failure.ts";
import type { Session } from "./session.ts";

const NONE = "none";

export const EGRESS_HELP = `
A function reaches nothing of the network until egress says so: internet (all that is public), or IPv4 destinations as in
egress=198.51.100.0/24:443,203.0.113.7:53/udp, or both. A private network must be permitted by the owner of the machine
(MAYFLY_EGRESS_PRIVATE). This host, other sandboxes, the platform and clouds' metadata are never reached.`;

const Answer = z.object({ Allow: z.array(z.string()) });

/**
 * Throws `Misused` at the first word that is no destination, or one that nobody permits anywhere. Which private networks
 * may be reached is the platform's to say.
 */
export function egressFrom(text: string): readonly string[] {
  if (text === NONE) return [];
  const destinations = text.split(",").map((each) => each.trim());
  for (const each of destinations.filter((word) => word !== INTERNET)) {
    const place = placeOf(each);
    if (place === undefined) {
      throw new Misused(
        `"${each}" is no destination: egress is none, internet, or IPv4 addresses such as 203.0.113.7, 198.51.100.0/24:443 or 192.0.2.53:53/udp, separated by commas`,
      );
    }
    const why = whyForbidden(each, place, PRIVATE);
    if (why !== undefined) throw new Misused(why);
  }
  return destinations;
}

export const egressText = (allow: readonly string[]): string => (allow.length === 0 ? NONE : allow.join(", "));

export const differsFrom = (before: readonly string[], wanted: readonly string[]): boolean =>
  egressText(before) !== egressText([...new Set(wanted)]);

export async function getEgress(session: Session, name: string): Promise<readonly string[]> {
  const FunctionName = unqualified(name);
  return Answer.parse(await callApi(session, "GetFunctionEgressConfig", { FunctionName })).Allow;
}

export async function putEgress(session: Session, FunctionName: string, Allow: readonly string[]): Promise<void> {
  if (FunctionName !== unqualified(FunctionName))
    throw new Misused("egress is the function's: name it without a version or an alias");
  await callApi(session, "PutFunctionEgressConfig", { FunctionName, Allow });
}

/** The name without `:qualifier`, also of an ARN. */
const unqualified = (name: string): string =>
  name.replace(/^((?:arn:[^:]+:lambda:[^:]*:[^:]*:function:)?[^:]+):[^:]+$/, "$1");
