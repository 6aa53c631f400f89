/** How a stream's records come together in batches, and with which of them a mapping begins. On a real server. */
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { enabled, fakeFrontend, mapping, runTrigger } from "../support/trigger.ts";

const MIB = 1024 * 1024;

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server[Symbol.asyncDispose]());

let streams = 0;
async function newStream() {
  const connection = await server.connect();
  const name = `BATCHES${++streams}`;
  const subject = `b${streams}.x`;
  const { streams: api } = await jetstreamManager(connection);
  await api.add({ name, subjects: [subject] });
  const client = jetstream(connection);
  const publish = async (body: string) => (await client.publish(subject, body)).seq;
  /** Epoch ms, as the server stored it. */
  const storedAt = async (seq: number) => (await api.getMessage(name, { seq }))?.time.getTime() ?? 0;
  const frontend = fakeFrontend(connection, name);
  await connection.flush();
  return { name, source: { kind: "stream", stream: name } as const, connection, publish, storedAt, frontend };
}

test("a batch that isn't full is run when its first record has waited for the window, with what came meanwhile", async () => {
  const { name: fn, source, publish, frontend } = await newStream();
  await using trigger = await runTrigger(server);
  await enabled(trigger.storage, mapping(source, { fn, batchSize: 100, windowSeconds: 1 }));
  for (const body of ["1", "2", "3"]) await publish(body);
  await frontend.until((asked) => asked.length === 1);
  await publish("4");
  await frontend.until((asked) => asked.length === 2);
  expect(frontend.bodies()).toEqual([["1", "2", "3"], ["4"]]);
});

test("a batch that is full doesn't wait", async () => {
  const { name: fn, source, publish, frontend } = await newStream();
  await using trigger = await runTrigger(server);
  await enabled(trigger.storage, mapping(source, { fn, batchSize: 2, windowSeconds: 300 }));
  for (const body of ["1", "2", "3", "4"]) await publish(body);
  await frontend.until((asked) => asked.length === 2);
  expect(frontend.bodies()).toEqual([
    ["1", "2"],
    ["3", "4"],
  ]);
});

test("a batch is full at 6 MB: what doesn't fit is in the next one", async () => {
  const { name: fn, source, connection, publish, frontend } = await newStream();
  const sizes: number[] = [];
  connection.subscribe(`mayfly.frontend.run.*.${fn}`, { callback: (_, { data }) => void sizes.push(data.length) });
  await connection.flush();
  await using trigger = await runTrigger(server);
  await enabled(trigger.storage, mapping(source, { fn, batchSize: 100, windowSeconds: 300 }));
  const body = "x".repeat(MIB);
  for (let each = 0; each < 11; each++) await publish(body);
  await frontend.until((asked) => asked.length === 2);
  expect(frontend.bodies().map((bodies) => bodies.length)).toEqual([5, 5]);
  for (const size of sizes) expect(size).toBeLessThanOrEqual(6 * MIB);
  // A record more would not have fitted.
  expect(Math.max(...sizes) + MIB).toBeGreaterThan(6 * MIB);
});

test("from LATEST only what is stored after the mapping was made is run", async () => {
  const { name: fn, source, publish, frontend } = await newStream();
  await publish("before");
  await using trigger = await runTrigger(server);
  await enabled(trigger.storage, mapping(source, { fn, startingPosition: "LATEST" }));
  await publish("after");
  await frontend.until((asked) => asked.length > 0);
  expect(frontend.bodies()).toEqual([["after"]]);
});

test("from AT_TIMESTAMP what was stored at that time or later is run", async () => {
  const { name: fn, source, publish, storedAt, frontend } = await newStream();
  let [before, from] = [await publish("0"), await publish("1")];
  while ((await storedAt(from)) <= (await storedAt(before))) [before, from] = [from, await publish(String(from))];
  const last = await publish("last");
  await using trigger = await runTrigger(server);
  const startingAt = await storedAt(from);
  await enabled(trigger.storage, mapping(source, { fn, startingPosition: "AT_TIMESTAMP", startingAt }));
  await frontend.until((asked) => asked.flatMap(({ event }) => event.Records).length === last - before);
  expect(frontend.bodies().flat()[0]).toBe(String(from - 1));
  expect(frontend.bodies().flat().at(-1)).toBe("last");
});

test("from TRIM_HORIZON all that is there is run, the oldest first", async () => {
  const { name: fn, source, publish, frontend } = await newStream();
  for (const body of ["1", "2", "3"]) await publish(body);
  await using trigger = await runTrigger(server);
  await enabled(trigger.storage, mapping(source, { fn, startingPosition: "TRIM_HORIZON" }));
  await frontend.until((asked) => asked.flatMap(({ event }) => event.Records).length === 3);
  expect(frontend.bodies().flat()).toEqual(["1", "2", "3"]);
});
