/** Where the platform's NATS servers are, so that functions with a network can be kept from them. */
import { lookup } from "node:dns/promises";
import type { NatsConnection } from "nats";

/** How long an answer about a name counts. */
const FRESH_MS = 60_000;

/**
 * A function that gives the addresses of the server we are connected to and of those it tells of, as of now. What a name
 * stood for counts until it can be looked up again. Rejects while one has never been looked up: nobody could be kept from it.
 */
export function serverAddressesOf(connection: NatsConnection): () => Promise<string[]> {
  const known = new Map<string, { readonly addresses: readonly string[]; readonly at: number }>();
  const addressesOf = async (host: string): Promise<readonly string[]> => {
    const before = known.get(host);
    if (before !== undefined && performance.now() - before.at < FRESH_MS) return before.addresses;
    try {
      const addresses = (await lookup(host, { all: true })).map(({ address }) => address);
      known.set(host, { addresses, at: performance.now() });
      return addresses;
    } catch (error) {
      if (before !== undefined) return before.addresses;
      throw error;
    }
  };
  return async () => {
    const servers = [connection.getServer(), ...(connection.info?.connect_urls ?? [])];
    const hosts = [...new Set(servers.filter(Boolean).map(hostOf))];
    return [...new Set((await Promise.all(hosts.map(addressesOf))).flat())];
  };
}

/** `[2001:db8::1]:4222` or `nats.example.com:4222`. */
const hostOf = (server: string): string => server.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
