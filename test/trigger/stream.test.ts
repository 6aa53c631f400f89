/** Streams as event sources, on a real server. */
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { afterAll, beforeAll, expect, test } from "vitest";
import { FUNCTION_ERROR } from "../../subjects/headers.ts";
import { mappingKey } from "../../subjects/mapping.ts";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { enabled, fakeFrontend, mapping, reaches, runTrigger } from "../support/trigger.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server[Symbol.asyncDispose]());

let streams = 0;
async function newStream() {
  const connection = await server.connect();
  const name = `ORDERS${++streams}`;
  const manager = await jetstreamManager(connection);
  await manager.streams.add({ name, subjects: [`o${streams}.>`] });
  const client = jetstream(connection);
  const prefix = `o${streams}`;
  return {
    name,
    connection,
    manager,
    publish: (subject: string, body: unknown) => client.publish(`${prefix}.${subject}`, JSON.stringify(body)),
  };
}

test("a mapping that is written is enabled, and its function gets the stream's messages in SQS's shape", async () => {
  const stream = await newStream();
  const frontend = fakeFrontend(stream.connection, stream.name);
  await stream.publish("created", { id: 1 });
  await using trigger = await runTrigger(server);
  const source = { kind: "stream", stream: stream.name } as const;
  const { uuid } = await enabled(trigger.storage, mapping(source, { fn: stream.name }));
  await frontend.until((asked) => asked.length === 1);
  const [asked] = frontend.asked;
  expect(asked?.fn).toBe(stream.name);
  expect(asked?.call.attempt).toBe(1);
  expect(asked?.event.Records).toMatchObject([
    {
      messageId: `${stream.name}:1`,
      body: '{"id":1}',
      subject: `o${streams}.created`,
      eventSource: "nats:stream",
      eventSourceARN: `arn:aws:nats:::stream/${stream.name}`,
      attributes: { SequenceNumber: "1", MessageGroupId: `o${streams}.created` },
    },
  ]);
  const told = await reaches(trigger.storage, mapping(source, { uuid }), (now) => now?.lastProcessingResult === "OK");
  expect(told?.state).toBe("Enabled");
});

test("what a function does not report as failed is not run again", async () => {
  const stream = await newStream();
  const failing = new Set([1, 2]);
  const frontend = fakeFrontend(stream.connection, stream.name, ({ event }) => ({
    payload: {
      batchItemFailures: event.Records.filter(({ body }) => failing.delete(JSON.parse(String(body)))).map(
        ({ messageId }) => ({ itemIdentifier: messageId }),
      ),
    },
  }));
  for (const id of [1, 2, 3, 4]) await stream.publish("x", id);
  await using trigger = await runTrigger(server);
  await enabled(
    trigger.storage,
    mapping({ kind: "stream", stream: stream.name }, { fn: stream.name, reportsItemFailures: true }),
  );
  await frontend.until((asked) => asked.length === 2);
  expect(frontend.bodies()).toEqual([
    ["1", "2", "3", "4"],
    ["1", "2"],
  ]);
});

test("a failing batch is halved until the poisonous record stands alone, whose failure goes to the destination", async () => {
  const stream = await newStream();
  const told = stream.connection.subscribe(`failed.${stream.name}`, { max: 1 });
  const frontend = fakeFrontend(stream.connection, stream.name, ({ event }) =>
    event.Records.some(({ body }) => body === "3") ? { headers: { [FUNCTION_ERROR]: "Unhandled" } } : {},
  );
  for (const id of [1, 2, 3, 4]) await stream.publish("x", id);
  await using trigger = await runTrigger(server);
  await enabled(
    trigger.storage,
    mapping(
      { kind: "stream", stream: stream.name },
      {
        fn: stream.name,
        bisects: true,
        maxRetryAttempts: 1,
        inOrder: true,
        onFailure: `arn:aws:nats:::subject/failed.${stream.name}`,
      },
    ),
  );
  for await (const message of told) {
    expect(message.json()).toMatchObject({
      version: "1.0",
      requestContext: { condition: "RetryAttemptsExhausted", approximateInvokeCount: 2 },
      responseContext: { statusCode: 200, functionError: "Unhandled" },
      NatsBatchInfo: { stream: stream.name, startSequenceNumber: "3", endSequenceNumber: "3", batchSize: 1 },
    });
  }
  await frontend.until((asked) => asked.some(({ event }) => event.Records[0]?.body === "4"));
  expect(frontend.bodies()).toEqual([["1", "2", "3", "4"], ["1", "2"], ["3", "4"], ["3"], ["3"], ["4"]]);
});

test("a throttled batch waits and uses no attempt", async () => {
  const stream = await newStream();
  let throttled = 3;
  const frontend = fakeFrontend(stream.connection, stream.name, () =>
    throttled-- > 0
      ? {
          headers: {
            "Nats-Service-Error-Code": "429",
            "Nats-Service-Error": "TooManyRequestsException: Rate Exceeded.",
          },
        }
      : {},
  );
  await stream.publish("x", 1);
  await using trigger = await runTrigger(server);
  await enabled(
    trigger.storage,
    mapping({ kind: "stream", stream: stream.name }, { fn: stream.name, maxRetryAttempts: 0 }),
  );
  await frontend.until((asked) => asked.length === 4);
  expect(frontend.asked.map(({ call }) => call.attempt)).toEqual([1, 1, 1, 1]);
  expect(new Set(frontend.asked.map(({ call }) => call.requestId)).size).toBe(1);
});

test("records that match no filter are dropped", async () => {
  const stream = await newStream();
  const frontend = fakeFrontend(stream.connection, stream.name);
  await stream.publish("x", { kind: "tea" });
  await stream.publish("x", { kind: "coffee" });
  await using trigger = await runTrigger(server);
  await enabled(
    trigger.storage,
    mapping({ kind: "stream", stream: stream.name }, { fn: stream.name, filters: ['{"body":{"kind":["coffee"]}}'] }),
  );
  await frontend.until((asked) => asked.length === 1);
  expect(frontend.bodies()).toEqual([['{"kind":"coffee"}']]);
});

test("two triggers share a stream: each record is run once", async () => {
  const stream = await newStream();
  const frontend = fakeFrontend(stream.connection, stream.name);
  await using one = await runTrigger(server);
  await using _two = await runTrigger(server);
  await enabled(one.storage, mapping({ kind: "stream", stream: stream.name }, { fn: stream.name, batchSize: 5 }));
  await Promise.all(Array.from({ length: 100 }, (_, id) => stream.publish("x", id)));
  const count = () => frontend.asked.reduce((sum, { event }) => sum + event.Records.length, 0);
  await frontend.until(() => count() === 100);
  expect(new Set(frontend.bodies().flat()).size).toBe(100);
});

test("a deleted mapping takes its consumer and its record with it", async () => {
  const stream = await newStream();
  await using one = await runTrigger(server);
  await using _two = await runTrigger(server);
  const record = await enabled(one.storage, mapping({ kind: "stream", stream: stream.name }, { fn: stream.name }));
  expect((await stream.manager.streams.info(stream.name)).state.consumer_count).toBe(1);
  await one.storage.triggers.put(mappingKey(record.acct, record.uuid), {
    ...record,
    state: "Deleting",
    enabled: false,
  });
  await reaches(one.storage, record, (now) => now === undefined);
  // A second trigger may be a step behind with the same work.
  const consumers = async () => (await stream.manager.streams.info(stream.name)).state.consumer_count;
  await expect.poll(consumers, { timeout: 10_000 }).toBe(0);
});

test("a mapping that is disabled keeps its place and goes on from there", async () => {
  const stream = await newStream();
  const frontend = fakeFrontend(stream.connection, stream.name);
  await using trigger = await runTrigger(server);
  const record = await enabled(trigger.storage, mapping({ kind: "stream", stream: stream.name }, { fn: stream.name }));
  await stream.publish("x", 1);
  await frontend.until((asked) => asked.length === 1);
  const key = mappingKey(record.acct, record.uuid);
  await trigger.storage.triggers.put(key, { ...record, state: "Disabling", enabled: false });
  await reaches(trigger.storage, record, (now) => now?.state === "Disabled");
  await stream.publish("x", 2);
  await trigger.storage.triggers.put(key, { ...record, state: "Enabling", enabled: true });
  await reaches(trigger.storage, record, (now) => now?.state === "Enabled");
  await frontend.until((asked) => asked.length === 2);
  expect(frontend.bodies()).toEqual([["1"], ["2"]]);
});

test("a source that is missing is told in the record, and waited for", async () => {
  const connection = await server.connect();
  await using trigger = await runTrigger(server);
  const record = mapping({ kind: "stream", stream: "LATER" });
  await trigger.storage.triggers.create(mappingKey(record.acct, record.uuid), record);
  const told = await reaches(
    trigger.storage,
    record,
    (now) => now?.lastProcessingResult.startsWith("PROBLEM") === true,
  );
  expect(told).toMatchObject({ state: "Creating", lastProcessingResult: "PROBLEM: stream not found" });
  await (await jetstreamManager(connection)).streams.add({ name: "LATER", subjects: ["later"] });
  await reaches(trigger.storage, record, (now) => now?.state === "Enabled");
});

test("a stream of the platform is nobody's source", async () => {
  await using trigger = await runTrigger(server);
  const record = mapping({ kind: "stream", stream: "STATE" });
  await trigger.storage.triggers.create(mappingKey(record.acct, record.uuid), record);
  const told = await reaches(trigger.storage, record, (now) => now?.state === "Disabled");
  expect(told?.stateReason).toBe("a stream of the platform is no event source");
});

test("in order, a subject's records are run one after the other, whichever triggers come and go", async () => {
  const stream = await newStream();
  const under = new Set<unknown>();
  const overlaps: unknown[] = [];
  const frontend = fakeFrontend(stream.connection, stream.name, async ({ event }) => {
    const subject = event.Records[0]?.subject;
    if (under.has(subject)) overlaps.push(subject);
    under.add(subject);
    await stream.connection.flush();
    under.delete(subject);
    return {};
  });
  const one = await runTrigger(server);
  await using two = await runTrigger(server);
  const settings = { fn: stream.name, inOrder: true, batchSize: 3 };
  await enabled(two.storage, mapping({ kind: "stream", stream: stream.name }, settings));
  const subjects = ["a", "b", "c"];
  const publish = async (from: number, to: number) => {
    for (let id = from; id < to; id++) await Promise.all(subjects.map((subject) => stream.publish(subject, id)));
  };
  // A record may be run once more when the triggers change.
  const count = () => {
    const records = frontend.asked.flatMap(({ event }) => event.Records);
    return new Set(records.map(({ messageId }) => messageId)).size;
  };
  await publish(0, 20);
  await frontend.until(() => count() >= 10);
  await one[Symbol.asyncDispose]();
  await publish(20, 40);
  await frontend.until(() => count() === 120);
  expect(overlaps).toEqual([]);
  for (const subject of subjects) {
    const ran = frontend.asked
      .flatMap(({ event }) => event.Records)
      .filter((record) => String(record.subject).endsWith(subject))
      .map(({ body }) => Number(body));
    expect([...new Set(ran)]).toEqual(Array.from({ length: 40 }, (_, id) => id));
  }
});

test("the batches of a mapping that run at a time are no more than it may have, over all triggers", async () => {
  const stream = await newStream();
  let running = 0;
  let most = 0;
  const frontend = fakeFrontend(stream.connection, stream.name, async () => {
    most = Math.max(most, ++running);
    await stream.connection.flush();
    running -= 1;
    return {};
  });
  await using one = await runTrigger(server);
  await using _two = await runTrigger(server);
  const settings = { fn: stream.name, maxConcurrency: 2, batchSize: 2 };
  await enabled(one.storage, mapping({ kind: "stream", stream: stream.name }, settings));
  await Promise.all(Array.from({ length: 50 }, (_, id) => stream.publish("x", id)));
  await frontend.until(() => frontend.bodies().flat().length === 50);
  expect(most).toBeLessThanOrEqual(2);
});

test("a failing record that grew too old is given up, and told so", async () => {
  const stream = await newStream();
  const told = stream.connection.subscribe(`old.${stream.name}`, { max: 1 });
  fakeFrontend(stream.connection, stream.name, () => ({ headers: { [FUNCTION_ERROR]: "Unhandled" } }));
  await stream.publish("x", 1);
  await using trigger = await runTrigger(server);
  const settings = { fn: stream.name, maxRecordAgeSeconds: 1, onFailure: `arn:aws:nats:::subject/old.${stream.name}` };
  await enabled(trigger.storage, mapping({ kind: "stream", stream: stream.name }, settings));
  for await (const message of told)
    expect(message.json()).toMatchObject({ requestContext: { condition: "RecordAgeExceeded" } });
});

test("a failure goes into a stream, which acknowledges it before the record is", async () => {
  const stream = await newStream();
  const frontend = fakeFrontend(stream.connection, stream.name, () => ({ headers: { [FUNCTION_ERROR]: "Unhandled" } }));
  await stream.publish("x", 1);
  await using trigger = await runTrigger(server);
  const onFailure = `arn:aws:nats:::stream/FAILED${stream.name}/f.${stream.name}`;
  const settings = { fn: stream.name, maxRetryAttempts: 0, onFailure };
  await enabled(trigger.storage, mapping({ kind: "stream", stream: stream.name }, settings));
  await frontend.until((asked) => asked.length === 3);
  const stored = stream.connection.subscribe(`f.${stream.name}`, { max: 1 });
  await stream.manager.streams.add({ name: `FAILED${stream.name}`, subjects: [`f.${stream.name}`] });
  for await (const message of stored)
    expect(message.json()).toMatchObject({ requestContext: { condition: "RetryAttemptsExhausted" } });
});

test("what a trigger had in hand when it vanished is run by another before anything newer", async () => {
  const stream = await newStream();
  const silence = Promise.withResolvers<object>();
  const frontend = fakeFrontend(stream.connection, stream.name, () =>
    frontend.asked.length === 1 ? silence.promise : {},
  );
  const one = await runTrigger(server);
  const settings = { fn: stream.name, inOrder: true, batchSize: 2 };
  await enabled(one.storage, mapping({ kind: "stream", stream: stream.name }, settings));
  for (const id of [1, 2]) await stream.publish("x", id);
  await frontend.until((asked) => asked.length === 1);
  await using _two = await runTrigger(server);
  await one.connection.close();
  for (const id of [3, 4]) await stream.publish("x", id);
  const seen = () => frontend.bodies().slice(1).flat();
  await frontend.until(() => seen().length >= 4);
  expect([...new Set(seen())]).toEqual(["1", "2", "3", "4"]);
  silence.resolve({});
  await one[Symbol.asyncDispose]();
});
