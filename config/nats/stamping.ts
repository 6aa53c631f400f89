/**
 * The subject mappings by which the *server* stamps the tenant, and for async the shard, on what a
 * user types. Identity is not a claim: no client sends it.
 *
 * The server checks a publisher's permissions against the mapped subject, not against the typed one,
 * so whoever may invoke must be allowed to publish the stamped subjects of the tenant.
 */

/** From typed subject to stamped subject, in the words of the server's `mappings` block. */
export type SubjectMappings = Readonly<Record<string, string>>;

export interface Stamp {
  /** The tenant, twelve digits as in an AWS account id. */
  readonly account: string;
  /** How many async streams events spread over; the same function always gets the same shard. */
  readonly asyncShards: number;
}

/** `mayfly.invoke.hello` becomes `mayfly.<account>.invoke.hello`, `mayfly.async.hello` `mayfly.<account>.async.5.hello`. */
export function stampingMappings({ account, asyncShards }: Stamp): SubjectMappings {
  const stamped = `mayfly.${account}`;
  const shard = `{{partition(${asyncShards},1)}}`;
  // What the platform enqueues names its tenant; the function alone decides the shard, as above.
  const sameShard = `{{partition(${asyncShards},2)}}`;
  return {
    "mayfly.invoke.*": `${stamped}.invoke.{{wildcard(1)}}`,
    "mayfly.invoke.*.*": `${stamped}.invoke.{{wildcard(1)}}.{{wildcard(2)}}`,
    "mayfly.api.*": `${stamped}.api.{{wildcard(1)}}`,
    "mayfly.async.*": `${stamped}.async.${shard}.{{wildcard(1)}}`,
    "mayfly.async.*.*": `${stamped}.async.${shard}.{{wildcard(1)}}.{{wildcard(2)}}`,
    "mayfly.*.enqueue.*": `mayfly.{{wildcard(1)}}.async.${sameShard}.{{wildcard(2)}}`,
    "mayfly.*.enqueue.*.*": `mayfly.{{wildcard(1)}}.async.${sameShard}.{{wildcard(2)}}.{{wildcard(3)}}`,
  };
}
