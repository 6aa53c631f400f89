/**
 * What a function is given, by kind of source. Messages come as Lambda's SQS events do, so that a handler written for a queue
 * runs unmodified: `{ Records: [{ messageId, body, attributes, messageAttributes, … }] }`, with `subject` beside.
 *
 *   subject   one record; `messageId` is a fresh uuid; `reply` is the requester's subject where there is one
 *   stream    `messageId` is `<STREAM>:<sequence>`; `attributes` has SequenceNumber and, as MessageGroupId, the subject
 *   bucket    { messageId, bucket, key, operation: PUT | DEL | PURGE, revision, value?, isBase64Encoded?, at }
 *   objects   the same; `key` is the object's name, `value` its { size, digest, chunks }; DEL without one
 *   schedule  EventBridge's scheduled event, no records
 *
 * A body or value that isn't UTF-8 is base64, and the record has `isBase64Encoded: true`. EVENTS.md shows one of each.
 * Source: Lambda developer guide, "Using Lambda with Amazon SQS"; EventBridge user guide, "Scheduled events".
 */
import { createHash } from "node:crypto";
import type { MappingRecord } from "../../subjects/mapping.ts";
import { sourceArn } from "../../subjects/mapping.ts";

/** A message as any kind of source delivers it. */
export interface Arrival {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
  readonly reply?: string | undefined;
  /** Epoch ms at which it was stored, or heard. */
  readonly at: number;
  /** Where it is kept; a core message is nowhere. */
  readonly kept?: { readonly stream: string; readonly sequence: number; readonly deliveries: number } | undefined;
}

export type EventRecord = Readonly<Record<string, unknown>> & { readonly messageId: string };

const decoder = new TextDecoder("utf-8", { fatal: true });

export function recordOf(
  mapping: Pick<MappingRecord, "source">,
  arrival: Arrival,
  region: string,
  messageId: string,
): EventRecord {
  const { source } = mapping;
  const common = { eventSource: `nats:${source.kind}`, eventSourceARN: sourceArn(source), awsRegion: region };
  if (source.kind === "bucket") return { messageId, ...common, ...ofBucket(source.bucket, arrival) };
  if (source.kind === "objects") return { messageId, ...common, ...ofObjects(source.bucket, arrival) };
  const { subject, headers, reply, at, kept } = arrival;
  const text = textOf("body", arrival.data);
  return {
    messageId,
    receiptHandle: messageId,
    ...text,
    md5OfBody: createHash("md5").update(text.body).digest("hex"),
    attributes: {
      ApproximateReceiveCount: String(kept?.deliveries ?? 1),
      SentTimestamp: String(at),
      ApproximateFirstReceiveTimestamp: String(at),
      SenderId: "nats",
      ...(kept === undefined ? {} : { MessageGroupId: subject, SequenceNumber: String(kept.sequence) }),
    },
    messageAttributes: Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [
        name,
        { stringValue: value, stringListValues: [], binaryListValues: [], dataType: "String" },
      ]),
    ),
    ...common,
    subject,
    ...(reply === undefined ? {} : { reply }),
  };
}

/** The same message of a source that keeps it has the same id, whoever takes it and however often. */
export const keptId = (stream: string, sequence: number): string => `${stream}:${sequence}`;

/** Headers by which KV and object stores mark what is gone. Source: NATS ADR-8 and ADR-20. */
const OPERATION = "KV-Operation";
const OPERATIONS: ReadonlySet<string> = new Set(["PUT", "DEL", "PURGE"]);
const MARKER_REASON = "Nats-Marker-Reason";

function ofBucket(bucket: string, { subject, data, headers, at, kept }: Arrival): object {
  const said = headers[OPERATION] ?? "PUT";
  const operation = headers[MARKER_REASON] !== undefined ? "PURGE" : OPERATIONS.has(said) ? said : "PUT";
  return {
    bucket,
    key: subject.split(".").slice(2).join("."),
    operation,
    revision: kept?.sequence,
    ...(operation === "PUT" ? textOf("value", data) : {}),
    at: new Date(at).toISOString(),
  };
}

function ofObjects(bucket: string, { data, at, kept }: Arrival): object {
  const info = JSON.parse(decoder.decode(data)) as Readonly<Record<string, unknown>>;
  const { name, size, digest, chunks, deleted } = info;
  return {
    bucket,
    key: name,
    operation: deleted === true ? "DEL" : "PUT",
    revision: kept?.sequence,
    ...(deleted === true ? {} : { value: { size, digest, chunks } }),
    at: new Date(at).toISOString(),
  };
}

/** As `field`, text; what isn't UTF-8 in base64, which is said. */
function textOf<F extends string>(field: F, data: Uint8Array): Record<F, string> {
  try {
    return { [field]: decoder.decode(data) } as Record<F, string>;
  } catch {
    const base64 = Buffer.from(data.buffer, data.byteOffset, data.length).toString("base64");
    return { [field]: base64, isBase64Encoded: true } as unknown as Record<F, string>;
  }
}

/** What comes when a schedule's time has come. `at` is epoch ms. */
export const scheduledEvent = (
  { acct, uuid }: Pick<MappingRecord, "acct" | "uuid">,
  { id, region, at }: { readonly id: string; readonly region: string; readonly at: number },
): object => ({
  version: "0",
  id,
  "detail-type": "Scheduled Event",
  source: "aws.events",
  account: acct,
  time: new Date(at).toISOString().replace(/\.\d+Z$/, "Z"),
  region,
  resources: [`arn:aws:lambda:${region}:${acct}:event-source-mapping:${uuid}`],
  detail: {},
});
