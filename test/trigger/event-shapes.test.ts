import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { recordOf } from "../../actors/trigger/event.ts";
import { eventShapes } from "../support/event-shapes.ts";

test("actors/trigger/EVENTS.md shows the events as they are", async () => {
  const page = await readFile(new URL("../../actors/trigger/EVENTS.md", import.meta.url), "utf8");
  expect(page, "run: node test/support/export-event-shapes.ts").toBe(eventShapes());
});

/** Source: Lambda developer guide, "Using Lambda with Amazon SQS", the example event. */
const SQS_FIELDS = [
  "attributes",
  "awsRegion",
  "body",
  "eventSource",
  "eventSourceARN",
  "md5OfBody",
  "messageAttributes",
  "messageId",
  "receiptHandle",
];

test("a message has every field that SQS's has", () => {
  const data = Buffer.from("héllo");
  const arrival = { subject: "a.b", data, headers: {}, at: 0, kept: { stream: "S", sequence: 1, deliveries: 2 } };
  const record = recordOf({ source: { kind: "stream", stream: "S" } }, arrival, "us-east-1", "S:1");
  expect(Object.keys(record).sort()).toEqual([...SQS_FIELDS, "subject"].sort());
  expect(record).toMatchObject({ body: "héllo", md5OfBody: createHash("md5").update("héllo").digest("hex") });
});

test("a body that isn't text is base64, and says so", () => {
  const arrival = { subject: "a", data: Uint8Array.of(0xff, 0xfe), headers: {}, at: 0 };
  const record = recordOf({ source: { kind: "subject", subject: "a", reply: false } }, arrival, "us-east-1", "id");
  expect(record).toMatchObject({ body: "//4=", isBase64Encoded: true });
});
