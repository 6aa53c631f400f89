/** One subscriber's stream: what it gets when it listens late, or never. */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { runtimesFolder } from "./booted.ts";

interface Delivery {
  add(event: object): void;
  flush(): Promise<void>;
}
const { TelemetryDelivery } = createRequire(import.meta.url)(join(runtimesFolder, "host/telemetry-delivery.cjs")) as {
  TelemetryDelivery: new (destination: object, buffering: object) => Delivery;
};

type Told = { type: string; record: { droppedRecords?: number; droppedBytes?: number } };

let server: Server;
afterEach(() => void server.close());

/** Answers with `status()`; keeps what came in requests that it answered well. */
async function listening(status: () => number) {
  const batches: Told[][] = [];
  server = createServer(async (request, response) => {
    const text = (await request.setEncoding("utf8").toArray()).join("");
    if (status() < 300) batches.push(JSON.parse(text) as Told[]);
    response.writeHead(status()).end();
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  return { batches, destination: { protocol: "HTTP", hostname: "sandbox.localdomain", port, path: "/" } };
}

const event = (n: number) => ({ time: "t", type: "function", record: { n } });
const never = { maxBytes: 262_144, timeoutMs: 3_600_000 };

test("a batch leaves as soon as it has enough events", async () => {
  const { batches, destination } = await listening(() => 200);
  const delivery = new TelemetryDelivery(destination, { ...never, maxItems: 3 });
  for (let n = 0; n < 3; n++) delivery.add(event(n));
  await expect.poll(() => batches.map((batch) => batch.length)).toEqual([3]);
});

test("a batch leaves as soon as it has enough bytes, or when its time is up", async () => {
  const { batches, destination } = await listening(() => 200);
  const bySize = new TelemetryDelivery(destination, { maxItems: 1000, maxBytes: 80, timeoutMs: 3_600_000 });
  bySize.add({ ...event(1), record: "x".repeat(60) });
  await expect.poll(() => batches.length).toBe(1);
  const byTime = new TelemetryDelivery(destination, { ...never, maxItems: 1000, timeoutMs: 25 });
  byTime.add(event(2));
  await expect.poll(() => batches.length).toBe(2);
});

test("what is refused is sent again; what was too much meanwhile is counted and told", async () => {
  let status = 500;
  const { batches, destination } = await listening(() => status);
  const delivery = new TelemetryDelivery(destination, { ...never, maxItems: 2 });
  for (let n = 0; n < 7; n++) delivery.add(event(n));
  await delivery.flush();
  expect(batches).toEqual([]);
  status = 200;
  await expect.poll(() => batches.flat().length).toBe(5);
  const told = batches.flat();
  expect(told.slice(0, 2).map(({ record }) => record)).toEqual([{ n: 0 }, { n: 1 }]);
  const dropped = told.find(({ type }) => type === "platform.logsDropped");
  expect(dropped?.record).toMatchObject({ droppedRecords: 3, reason: expect.any(String) });
  expect(dropped?.record.droppedBytes).toBe(3 * JSON.stringify(event(0)).length);
});
