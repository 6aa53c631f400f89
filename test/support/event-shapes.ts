/** The page of what functions are given by each kind of source, made by what makes the events. */
import { type Arrival, keptId, recordOf, scheduledEvent } from "../../actors/trigger/event.ts";
import type { MappingSource } from "../../subjects/mapping.ts";
import { DEFAULT_ACCOUNT } from "../../subjects/tokens.ts";

const REGION = "us-east-1";
const AT = Date.UTC(2026, 10, 24, 9);
const UUID = "6a6f7ceb-1bfd-45ee-9ad0-72cd548a6578";

const bytes = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

interface Shape {
  readonly title: string;
  readonly about: string;
  readonly event: object;
}

function shape(title: string, about: string, source: MappingSource, arrival: Partial<Arrival>): Shape {
  const whole: Arrival = { subject: "", data: bytes({ id: 1 }), headers: {}, at: AT, ...arrival };
  const { kept } = whole;
  const id = kept === undefined ? "b5ad5b1c-6a3f-4d3e-9f0e-7f4e4c1b2a90" : keptId(kept.stream, kept.sequence);
  return { title, about, event: { Records: [recordOf({ source }, whole, REGION, id)] } };
}

const SHAPES: readonly Shape[] = [
  shape(
    "A message on a subject",
    "The shape of an SQS message, so that a handler written for a queue runs unmodified; `subject` beside it, and `reply` where somebody waits for an answer. One record. Headers are `messageAttributes`. `messageId` is fresh each time.",
    { kind: "subject", subject: "orders.*", reply: false },
    { subject: "orders.created", headers: { Trace: "t1" } },
  ),
  shape(
    "A message of a stream",
    "The same, up to the batch size of them. `messageId` is where it lies, the same however often it is delivered, and what `batchItemFailures` names. `MessageGroupId` is the subject, `ApproximateReceiveCount` the server's count of deliveries.",
    { kind: "stream", stream: "ORDERS" },
    { subject: "orders.created", kept: { stream: "ORDERS", sequence: 7, deliveries: 1 } },
  ),
  shape(
    "A change in a KV bucket",
    "`operation` is PUT, DEL or PURGE (also when a key's time is over); only a PUT has a `value`. `revision` is the key's.",
    { kind: "bucket", bucket: "STOCK" },
    {
      subject: "$KV.STOCK.tea.green",
      data: bytes({ left: 3 }),
      kept: { stream: "KV_STOCK", sequence: 12, deliveries: 1 },
    },
  ),
  shape(
    "A change in an object store",
    "`key` is the object's name; what it holds is fetched by that. DEL has no `value`.",
    { kind: "objects", bucket: "FILES" },
    {
      subject: "$O.FILES.M.cmVwb3J0LnBkZg==",
      data: bytes({ name: "report.pdf", bucket: "FILES", size: 4096, chunks: 1, digest: "SHA-256=…" }),
      kept: { stream: "OBJ_FILES", sequence: 3, deliveries: 1 },
    },
  ),
  {
    title: "A schedule's tick",
    about: "EventBridge's scheduled event. `id` is the same for the same tick, whoever brings it.",
    event: scheduledEvent({ acct: DEFAULT_ACCOUNT, uuid: UUID }, { id: UUID, region: REGION, at: AT }),
  },
];

export function eventShapes(): string {
  const sections = SHAPES.map(
    ({ title, about, event }) => `## ${title}\n\n${about}\n\n\`\`\`json\n${JSON.stringify(event, null, 2)}\n\`\`\`\n`,
  );
  const intro =
    "# What a function is given\n\nBy each kind of event source. A `body` or `value` that isn't UTF-8 is base64, and its record says `isBase64Encoded: true`.\nMade by `node test/support/export-event-shapes.ts`.\n";
  return [intro, ...sections].join("\n");
}
