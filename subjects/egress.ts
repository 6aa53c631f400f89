/**
 * What of the network a function may reach besides itself: a list of destinations, empty for nothing. Each is the word
 * `internet` (everything public) or IPv4 addresses with, if not all are meant, ports and one of the two protocols:
 *
 *   203.0.113.7            198.51.100.0/24:443            10.1.2.3:5432/tcp            192.0.2.53:53/udp    192.0.2.9:8000-8099
 *
 * What is never reachable, and what only with the leave of the machine's owner, is in config/address-ranges.ts.
 */
import { z } from "zod";

export const INTERNET = "internet";
export const MAX_DESTINATIONS = 50;

/** Addresses as unsigned 32-bit numbers, both ends included. */
export interface Range {
  readonly first: number;
  readonly last: number;
}

export interface Place {
  /** As in `198.51.100.0/24`; a single address has no length. */
  readonly cidr: string;
  readonly addresses: Range;
  /** Both ends included; absent: all. */
  readonly ports?: Range;
  /** Absent: TCP and UDP. */
  readonly protocol?: "tcp" | "udp";
}

const PLACE =
  /^(?<cidr>(?:\d{1,3}\.){3}\d{1,3}(?:\/\d{1,2})?)(?::(?<port>\d{1,5})(?:-(?<to>\d{1,5}))?)?(?:\/(?<protocol>tcp|udp))?$/;

/** The addresses of `a.b.c.d` or `a.b.c.d/length`; undefined for what is none, also where bits beyond the length are set. */
export function rangeOf(cidr: string): Range | undefined {
  const [address = "", given = "32"] = cidr.split("/");
  const parts = address.split(".").map(Number);
  const length = Number(given);
  if (parts.length !== 4 || !parts.every((part) => part <= 255) || !(length <= 32)) return undefined;
  const first = parts.reduce((sum, part) => sum * 256 + part, 0);
  const size = 2 ** (32 - length);
  return first % size === 0 ? { first, last: first + size - 1 } : undefined;
}

/** A destination that isn't `internet`; undefined for what is none. */
export function placeOf(text: string): Place | undefined {
  const { cidr = "", port, to = port, protocol } = PLACE.exec(text)?.groups ?? {};
  const addresses = cidr === "" ? undefined : rangeOf(cidr);
  const ports = port === undefined ? undefined : { first: Number(port), last: Number(to) };
  if (addresses === undefined) return undefined;
  if (ports !== undefined && !(1 <= ports.first && ports.first <= ports.last && ports.last <= 65_535)) return undefined;
  return {
    cidr,
    addresses,
    ...(ports === undefined ? {} : { ports }),
    ...(protocol === undefined ? {} : { protocol: protocol as "tcp" | "udp" }),
  };
}

export const isWithin = (inner: Range, outer: Range): boolean => outer.first <= inner.first && inner.last <= outer.last;

export const Destination = z.string().refine((text) => text === INTERNET || placeOf(text) !== undefined);
export const Egress = z.array(Destination).max(MAX_DESTINATIONS);
export type Egress = Readonly<z.infer<typeof Egress>>;

/** As the control plane keeps it: with every change a new revision, because the sandboxes of the old one must not serve. */
export const EgressConfig = z.object({ Allow: Egress, RevisionId: z.string() });
export type EgressConfig = z.infer<typeof EgressConfig>;
