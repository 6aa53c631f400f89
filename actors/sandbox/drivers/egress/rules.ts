/**
 * What a sandbox may reach, as rules of nftables. Pure: destinations and facts in, text for `nft -f` out.
 *
 * Two locks keep it: one in the sandbox's own network namespace, where nobody inside may change rules, and, where the
 * worker is the host's root, one on the host over whatever leaves in a sandbox's name.
 */
import { NEVER, PRIVATE } from "../../../../config/address-ranges.ts";
import { isPrivatePlace, whyForbidden } from "../../../../config/egress-permission.ts";
import { type Egress, INTERNET, type Place, placeOf, type Range, rangeOf } from "../../../../subjects/egress.ts";
import { EgressForbidden } from "./network.ts";

/** The sandbox's side of its network: on the link, so that no network a function may name can have these addresses. */
export const LINK = {
  cidr: "169.254.100.0/24",
  gateway: "169.254.100.2",
  nameServer: "169.254.100.3",
  own: "169.254.100.100",
} as const;

/** Destinations as far as they are the function's to have. */
export interface Allowed {
  readonly internet: boolean;
  /** Within private networks that the machine's owner permits. */
  readonly privately: readonly Place[];
  readonly publicly: readonly Place[];
}

/** Throws `EgressForbidden` for what is never reachable, or isn't permitted here. */
export function allowedOf(egress: Egress, permitted: readonly string[]): Allowed {
  const places = egress.filter((each) => each !== INTERNET).map((text) => ({ text, place: placeOf(text) }));
  const publicly: Place[] = [];
  const privately: Place[] = [];
  for (const { text, place } of places) {
    if (place === undefined) throw new EgressForbidden(`"${text}" is no destination`);
    const why = whyForbidden(text, place, permitted);
    if (why !== undefined) throw new EgressForbidden(why);
    (isPrivatePlace(place) ? privately : publicly).push(place);
  }
  return { internet: egress.includes(INTERNET), privately, publicly };
}

const REFUSE = "reject with icmpx type admin-prohibited";
const NAMES = "meta l4proto { tcp, udp } th dport 53";

/** For the sandbox's namespace, in place of what was there. `shut` are single addresses: the host's own and the platform's. */
export function insideRules({ internet, privately, publicly }: Allowed, shut: readonly string[]): string {
  return `
table inet mayfly { }
delete table inet mayfly
table inet mayfly {
${setOf("never", NEVER)}
${setOf("private", PRIVATE)}
${setOf("shut", onlyIPv4(shut))}
  chain out {
    type filter hook output priority filter; policy drop;
    oifname "lo" accept
    meta nfproto != ipv4 ${REFUSE}
    ip saddr != ${LINK.own} drop
    ip daddr ${LINK.nameServer} ${NAMES} accept
    ip daddr @never ${REFUSE}
    ip daddr @shut ${REFUSE}
${privately.map(acceptance).join("\n")}
    ip daddr @private ${REFUSE}
${publicly.map(acceptance).join("\n")}
${internet ? "    meta l4proto { tcp, udp } accept" : ""}
    ${REFUSE}
  }
  chain in {
    type filter hook input priority filter; policy drop;
    iifname "lo" accept
    ct state established,related accept
  }
}
`;
}

export interface HostFacts {
  /** The groups under whose numbers sandboxes' packets leave. */
  readonly gids: Range;
  /** Where this host asks for names. */
  readonly resolvers: readonly string[];
  readonly permitted: readonly string[];
  readonly platform: readonly string[];
}

/** For the host, in place of what was there: a table of its own that looks only at what leaves in the name of a sandbox of this worker. */
export function hostRules(table: string, { gids, resolvers, permitted, platform }: HostFacts): string {
  return `
table inet ${table} { }
delete table inet ${table}
table inet ${table} {
${setOf("never", NEVER)}
${setOf("private", PRIVATE)}
${setOf("permitted", permitted)}
${setOf("resolvers", onlyIPv4(resolvers))}
${setOf("platform", onlyIPv4(platform))}
  chain out {
    type filter hook output priority filter - 10; policy accept;
    meta skgid ${gids.first}-${gids.last} jump sandboxes
  }
  chain sandboxes {
    meta nfproto != ipv4 ${REFUSE}
    ip daddr @resolvers ${NAMES} accept
    fib daddr type { local, broadcast, anycast, multicast } ${REFUSE}
    ip daddr @never ${REFUSE}
    ip daddr @platform ${REFUSE}
    ip daddr @permitted accept
    ip daddr @private ${REFUSE}
  }
}
`;
}

function acceptance({ cidr, ports, protocol }: Place): string {
  const protocols = protocol ?? "{ tcp, udp }";
  const those = ports === undefined ? "" : ` th dport ${ports.first}-${ports.last}`;
  return `    ip daddr ${cidr} meta l4proto ${protocols}${those} accept`;
}

/** nft knows no set of nothing. */
function setOf(name: string, elements: readonly string[]): string {
  const those = elements.length === 0 ? "" : ` elements = { ${[...new Set(elements)].join(", ")} };`;
  return `  set ${name} { type ipv4_addr; flags interval; auto-merge;${those} }`;
}

const onlyIPv4 = (addresses: readonly string[]): string[] => addresses.filter((each) => rangeOf(each) !== undefined);
