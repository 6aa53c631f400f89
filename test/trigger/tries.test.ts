/** Attempts are counted across crashes. On a real server. */
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { afterAll, beforeAll, expect, test } from "vitest";
import { triesKey, triesOf } from "../../actors/trigger/tries.ts";
import { FUNCTION_ERROR } from "../../subjects/headers.ts";
import { mappingKey } from "../../subjects/mapping.ts";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { enabled, fakeFrontend, mapping, reaches, runTrigger } from "../support/trigger.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server[Symbol.asyncDispose]());

test.each([
  { name: "SHARED", inOrder: false },
  { name: "ORDERED", inOrder: true },
])("after a crash the attempts of a $name stream's batch go on where they were", async ({ name, inOrder }) => {
  const connection = await server.connect();
  const subject = `tries.${name}`;
  const { streams } = await jetstreamManager(connection);
  await streams.add({ name, subjects: [subject] });
  for (const body of ["1", "2"]) await jetstream(connection).publish(subject, body);
  const told = connection.subscribe(`failed.${name}`, { max: 1 });
  const silence = Promise.withResolvers<object>();
  const frontend = fakeFrontend(connection, name, () =>
    frontend.asked.length === 3 ? silence.promise : { headers: { [FUNCTION_ERROR]: "Unhandled" } },
  );
  await connection.flush();
  const one = await runTrigger(server);
  const onFailure = `arn:aws:nats:::subject/failed.${name}`;
  const settings = { fn: name, maxRetryAttempts: 3, inOrder, onFailure };
  const record = await enabled(one.storage, mapping({ kind: "stream", stream: name }, settings));
  await frontend.until((asked) => asked.length === 3);
  await using two = await runTrigger(server);
  await one.connection.close();
  for await (const message of told)
    expect(message.json()).toMatchObject({
      requestContext: { condition: "RetryAttemptsExhausted", approximateInvokeCount: 4 },
      NatsBatchInfo: { batchSize: 2 },
    });
  // The third was never heard of: it is made again, and the fourth is the last.
  expect(frontend.asked.map(({ call }) => call.attempt)).toEqual([1, 2, 3, 3, 4]);
  const { leases } = two.storage;
  const left = async () => [...(await triesOf(record, leases).read())];
  await expect.poll(left, { timeout: 5000 }).toEqual([]);

  await two.storage.triggers.put(mappingKey(record.acct, record.uuid), {
    ...record,
    state: "Deleting",
    enabled: false,
  });
  await reaches(two.storage, record, (now) => now === undefined);
  expect(await leases.get(triesKey(record.uuid))).toBeUndefined();
  silence.resolve({});
  await one[Symbol.asyncDispose]();
});

test("of thousands of records that fail together little is kept, and each is known", async () => {
  await using trigger = await runTrigger(server);
  const { leases } = trigger.storage;
  const tries = triesOf({ uuid: "many" }, leases);
  const failing = Array.from({ length: 10_000 }, (_, at) => at + 1);
  await Promise.all([
    tries.note(new Map(failing.slice(0, 5000).map((sequence) => [sequence, 1]))),
    tries.note(new Map(failing.slice(5000).map((sequence) => [sequence, 1]))),
  ]);
  expect((await leases.get(triesKey("many")))?.value).toEqual([{ attempts: 1, from: 1, to: 10_000 }]);
  await tries.note(
    new Map([
      [77, 0],
      [78, 2],
    ]),
  );
  const known = await tries.read();
  expect([known.size, known.get(76), known.get(77), known.get(78)]).toEqual([9999, 1, undefined, 2]);
});
