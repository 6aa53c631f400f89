/**
 * What a tenant may name as a source or a target of its functions: subjects, streams and buckets of its own. Those of the
 * platform aren't: whoever could publish to them would speak in its name, and whoever triggered on them would hear himself.
 */
import {
  ASYNC_STREAMS,
  CODE_BUCKET,
  DEAD_STREAM,
  FUNCTIONS_BUCKET,
  LAYERS_BUCKET,
  LEASES_BUCKET,
  LOGS_STREAM,
  RETRY_STREAM,
  SCHEDULES_STREAM,
  STATE_STREAM,
  TRIGGERS_BUCKET,
} from "./streams.ts";

/** Printable characters, without blanks; `*` and `>` only as whole tokens. Source: NATS documentation, "Subject-Based Messaging". */
const TOKEN = /^(?:[^\s.*>\p{Cc}]+|\*)$/u;
/** Source: NATS ADR-6 (restricted terms). */
const NAME = /^[A-Za-z0-9_-]+$/;
const KEYS = /^[-/_=.a-zA-Z0-9*>]+$/;
const PLATFORM_STREAMS: readonly string[] = [
  LOGS_STREAM,
  STATE_STREAM,
  RETRY_STREAM,
  DEAD_STREAM,
  SCHEDULES_STREAM,
  ...ASYNC_STREAMS,
];
/** What is behind buckets and object stores is named as such. */
const BEHIND_BUCKETS = /^(?:KV|OBJ)_/;
const PLATFORM_BUCKETS: readonly string[] = [
  FUNCTIONS_BUCKET,
  LAYERS_BUCKET,
  TRIGGERS_BUCKET,
  LEASES_BUCKET,
  CODE_BUCKET,
];

/** Whether one message can be published there, by a tenant. */
export const isOwnSubject = (subject: string): boolean => isOwnFilter(subject) && !/(?:^|\.)[*>](?:\.|$)/.test(subject);

/** Whether a tenant may listen there: wildcards are allowed, but not for the first token, which decides whose it is. */
export function isOwnFilter(subject: string): boolean {
  const tokens = subject.split(".");
  const [first = ""] = tokens;
  if (["mayfly", "*", ">"].includes(first) || first.startsWith("$") || first.startsWith("_INBOX")) return false;
  return tokens.every((token, at) => TOKEN.test(token) || (token === ">" && at === tokens.length - 1));
}

/** Wildcards allowed, whose the subject is doesn't matter: for what narrows down a stream that is the tenant's own. */
export const isFilter = (subject: string): boolean =>
  subject.split(".").every((token, at, all) => TOKEN.test(token) || (token === ">" && at === all.length - 1));

export const isOwnStream = (name: string): boolean =>
  NAME.test(name) && !PLATFORM_STREAMS.includes(name) && !BEHIND_BUCKETS.test(name);

/** KV buckets and object stores. */
export const isOwnBucket = (name: string): boolean => NAME.test(name) && !PLATFORM_BUCKETS.includes(name);

/** Keys of a bucket, wildcards allowed. */
export const isKeyFilter = (keys: string): boolean => KEYS.test(keys) && isFilter(keys);
