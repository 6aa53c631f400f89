/**
 * An event source mapping as kept in the TRIGGERS bucket at `<acct>.<uuid>`: what an API call wished and how far it is.
 * Field names in capitals are the Lambda API's own. Source: Lambda API reference, EventSourceMappingConfiguration.
 */
import { z } from "zod";
import { isFilter, isKeyFilter, isOwnBucket, isOwnFilter, isOwnStream } from "./places.ts";
import { AccountId, Token } from "./tokens.ts";

/**
 * What a mapping listens to; in the API the `EventSourceArn`:
 *   arn:aws:nats:::subject/<subject>            core messages, wildcards allowed; with `Reply` the function answers them
 *   arn:aws:nats:::stream/<STREAM>[/<subject>]  a stream's messages, in batches
 *   arn:aws:nats:::bucket/<BUCKET>[/<keys>]     changes of a KV bucket
 *   arn:aws:nats:::objects/<BUCKET>             changes of an object store
 *   arn:aws:nats:::schedule/<expression>        `rate(5 minutes)`, `cron(…)` or `at(…)`, EventBridge Scheduler's own words
 */
export const MappingSource = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("subject"), subject: z.string(), reply: z.boolean() }),
  z.object({ kind: z.literal("stream"), stream: z.string(), subject: z.string().optional() }),
  z.object({ kind: z.literal("bucket"), bucket: z.string(), keys: z.string().optional() }),
  z.object({ kind: z.literal("objects"), bucket: z.string() }),
  z.object({ kind: z.literal("schedule"), expression: z.string(), timeZone: z.string() }),
]);
export type MappingSource = z.infer<typeof MappingSource>;

const ARN = /^arn:aws[a-zA-Z-]*:nats:::(?<kind>subject|stream|bucket|objects|schedule)\/(?<rest>.+)$/s;

/**
 * What an `EventSourceArn` names; `undefined` for what is none, or belongs to the platform. `Reply` and `TimeZone` are said
 * beside it. A schedule's expression isn't looked at.
 */
export function sourceNamed(
  arn: string,
  { reply = false, timeZone = "UTC" }: { readonly reply?: boolean; readonly timeZone?: string } = {},
): MappingSource | undefined {
  const { kind, rest = "" } = ARN.exec(arn)?.groups ?? {};
  const slash = rest.indexOf("/");
  const [name, within] = slash < 0 ? [rest, undefined] : [rest.slice(0, slash), rest.slice(slash + 1)];
  switch (kind) {
    case "subject":
      return isOwnFilter(rest) ? { kind, subject: rest, reply } : undefined;
    case "stream":
      if (!isOwnStream(name) || (within !== undefined && !isFilter(within))) return undefined;
      return { kind, stream: name, ...(within === undefined ? {} : { subject: within }) };
    case "bucket":
      if (!isOwnBucket(name) || (within !== undefined && !isKeyFilter(within))) return undefined;
      return { kind, bucket: name, ...(within === undefined ? {} : { keys: within }) };
    case "objects":
      return within === undefined && isOwnBucket(name) ? { kind, bucket: name } : undefined;
    case "schedule":
      return { kind, expression: rest, timeZone };
    default:
      return undefined;
  }
}

export function sourceArn(source: MappingSource): string {
  const within = (name: string, more: string | undefined) => (more === undefined ? name : `${name}/${more}`);
  const rest = (): string => {
    switch (source.kind) {
      case "subject":
        return source.subject;
      case "stream":
        return within(source.stream, source.subject);
      case "bucket":
        return within(source.bucket, source.keys);
      case "objects":
        return source.bucket;
      case "schedule":
        return source.expression;
      default:
        return source satisfies never;
    }
  };
  return `arn:aws:nats:::${source.kind}/${rest()}`;
}

/** A mapping's LastProcessingResult until something came. */
export const NOTHING_PROCESSED = "No records processed";

export const MAPPING_STATES = [
  "Creating",
  "Enabling",
  "Enabled",
  "Disabling",
  "Disabled",
  "Updating",
  "Deleting",
] as const;

export const MappingRecord = z.object({
  acct: AccountId,
  uuid: Token,
  fn: Token,
  qualifier: z.string().optional(),
  source: MappingSource,
  /** Records of one invocation at most. */
  batchSize: z.number().int().min(1).max(10_000),
  /** How long a batch is waited for. */
  windowSeconds: z.number().min(0).max(300),
  /** EventBridge patterns as JSON texts: a record that matches none is dropped. Empty: all match. */
  filters: z.array(z.string()),
  /** The function says which records failed (`batchItemFailures`). */
  reportsItemFailures: z.boolean(),
  bisects: z.boolean(),
  /** -1: without end. */
  maxRetryAttempts: z.number().int().min(-1).max(10_000),
  /** -1: without end. */
  maxRecordAgeSeconds: z.number().int().min(-1).max(604_800),
  /** A Destination as in event-invoke.ts. */
  onFailure: z.string().optional(),
  maxConcurrency: z.number().int().min(1).max(1000).optional(),
  startingPosition: z.enum(["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"]).optional(),
  /** Epoch ms. */
  startingAt: z.number().optional(),
  /** One batch at a time for each subject: its records are run in order. */
  inOrder: z.boolean(),
  /** Whether its owner wants it to run. */
  enabled: z.boolean(),
  state: z.enum(MAPPING_STATES),
  stateReason: z.string(),
  lastProcessingResult: z.string(),
  /** Epoch ms. */
  modifiedAt: z.number(),
});
export type MappingRecord = z.infer<typeof MappingRecord>;

/** In the LEASES bucket at `tries-<uuid>`: how often records that fail were tried, by their sequences in the stream. */
export const MappingTries = z.array(
  z.object({ attempts: z.number().int().positive(), from: z.number().int(), to: z.number().int() }),
);
export type MappingTries = z.infer<typeof MappingTries>;

export const mappingKey = (acct: string, uuid: string): string => `${acct}.${uuid}`;
