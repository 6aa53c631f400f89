/**
 * IPv4 addresses that are no part of the public internet. Source: IANA's special-purpose address registry (RFC 6890), but
 * for Azure's wire server, which answers machines about themselves at a public address.
 */

/** Out of every function's reach, whoever asks: this host, its link (clouds' metadata), groups, everybody, nobody. */
export const NEVER: readonly string[] = [
  "0.0.0.0/8",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "192.0.0.0/24",
  "168.63.129.16/32",
  "224.0.0.0/4",
  "240.0.0.0/4",
];

/** Networks that belong to somebody: within reach of a function that names them, as far as the machine's owner permits. */
export const PRIVATE: readonly string[] = [
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "100.64.0.0/10",
  "198.18.0.0/15",
];
