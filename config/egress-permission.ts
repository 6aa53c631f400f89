/**
 * What no function may name as a destination: asked when a function's egress is set, and again where it is given to a
 * sandbox, because the owner of that machine may think otherwise, or have changed his mind. Pure.
 */
import { isWithin, type Place, rangeOf } from "../subjects/egress.ts";
import { NEVER, PRIVATE } from "./address-ranges.ts";

const holderOf = (cidrs: readonly string[], { addresses }: Place): string | undefined =>
  cidrs.find((cidr) => {
    const range = rangeOf(cidr);
    return range !== undefined && isWithin(addresses, range);
  });

export const isPrivatePlace = (place: Place): boolean => holderOf(PRIVATE, place) !== undefined;

/** Why `place`, written as `text`, may not be reached where the private networks `permitted` may be; undefined if it may. */
export function whyForbidden(text: string, place: Place, permitted: readonly string[]): string | undefined {
  const never = holderOf(NEVER, place);
  if (never !== undefined) return `no function may reach ${text}: it is in ${never}`;
  const network = holderOf(PRIVATE, place);
  if (network === undefined || holderOf(permitted, place) !== undefined) return undefined;
  return `${text} is in the private network ${network}, and the owner of this machine doesn't permit it (MAYFLY_EGRESS_PRIVATE)`;
}
