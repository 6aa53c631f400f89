/** Core subjects as event sources, on a real server. */
import { jetstreamManager } from "@nats-io/jetstream";
import { headers } from "nats";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeStreams } from "../../actors/bus/streams.ts";
import { Queued } from "../../subjects/async.ts";
import { FUNCTION_ERROR } from "../../subjects/headers.ts";
import { ASYNC_STREAMS } from "../../subjects/streams.ts";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { enabled, fakeFrontend, mapping, runTrigger } from "../support/trigger.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server[Symbol.asyncDispose]());

test("each message is stored once as an event of the function, however many triggers listen", async () => {
  const connection = await server.connect("mayfly");
  const heard: object[] = [];
  const stored = (await server.connect()).subscribe(Queued.subject({ fn: "audit" }));
  await using one = await runTrigger(server);
  await using _two = await runTrigger(server);
  await enabled(one.storage, mapping({ kind: "subject", subject: "orders.*", reply: false }, { fn: "audit" }));
  await one.connection.flush();
  const sent = headers();
  sent.set("Trace", "t1");
  for (const id of [1, 2, 3]) connection.publish(`orders.o${id}`, JSON.stringify({ id }), { headers: sent });
  for await (const message of stored) if (heard.push(message.json()) === 3) break;
  const bodies = (heard as Array<{ Records: Array<{ body: string }> }>).map(({ Records }) => Records[0]?.body);
  expect(bodies.sort()).toEqual(['{"id":1}', '{"id":2}', '{"id":3}']);
  expect(heard[0]).toMatchObject({
    Records: [
      {
        subject: expect.stringMatching(/^orders\.o\d$/),
        eventSource: "nats:subject",
        messageAttributes: { Trace: { stringValue: "t1", dataType: "String" } },
      },
    ],
  });
  const { streams } = await jetstreamManager(await server.connect());
  const counts = await Promise.all(
    Array.from({ length: 8 }, async (_, shard) => (await streams.info(`ASYNC_${shard}`)).state.messages),
  );
  expect(counts.reduce((sum, each) => sum + each)).toBe(3);
});

test("what was heard while no stream could take it is stored once one can, however long that takes", async () => {
  const person = await server.connect("mayfly");
  const platform = await server.connect();
  const { streams } = await jetstreamManager(platform);
  await using trigger = await runTrigger(server);
  await enabled(trigger.storage, mapping({ kind: "subject", subject: "patient", reply: false }, { fn: "patient" }));
  await trigger.connection.flush();
  for (const name of ASYNC_STREAMS) await streams.delete(name);
  const tries = platform.subscribe(Queued.subject({ fn: "patient" }), { max: 12 });
  await platform.flush();
  person.publish("patient", "1");
  // What a queue says that holds as much as it may.
  const full = { error: { code: 503, err_code: 10077, description: "maximum messages per subject exceeded" } };
  for await (const message of tries) message.respond(JSON.stringify(full));
  await makeStreams(platform, { replicas: 1 });
  const kept = async () => {
    const infos = await Promise.all(ASYNC_STREAMS.map((name) => streams.info(name)));
    return infos.reduce((sum, { state }) => sum + state.messages, 0);
  };
  await expect.poll(kept, { timeout: 10_000 }).toBe(1);
});

test("a function answers whoever asks on its subject, and a failure is told as an invoke tells it", async () => {
  const person = await server.connect("mayfly");
  const platform = await server.connect();
  fakeFrontend(platform, "price", ({ event }) =>
    event.Records[0]?.subject === "price.tea"
      ? { payload: { price: 3 } }
      : { payload: { errorMessage: "no such thing" }, headers: { [FUNCTION_ERROR]: "Unhandled" } },
  );
  await platform.flush();
  await using trigger = await runTrigger(server);
  await enabled(trigger.storage, mapping({ kind: "subject", subject: "price.>", reply: true }, { fn: "price" }));
  await trigger.connection.flush();
  expect((await person.request("price.tea", "1")).json()).toEqual({ price: 3 });
  const failed = await person.request("price.gold", "1");
  expect(failed.headers?.get(FUNCTION_ERROR)).toBe("Unhandled");
});

test("without a front end a requester is told so by name", async () => {
  const person = await server.connect("mayfly");
  await using trigger = await runTrigger(server);
  await enabled(trigger.storage, mapping({ kind: "subject", subject: "lonely", reply: true }, { fn: "lonely" }));
  await trigger.connection.flush();
  const refused = await person.request("lonely", "1");
  expect(refused.headers?.get("Nats-Service-Error-Code")).toBe("500");
});

test("nobody has the platform publish in its own name by asking for an answer there", async () => {
  const person = await server.connect("mayfly");
  const platform = await server.connect();
  const frontend = fakeFrontend(platform, "deputy");
  const heard: string[] = [];
  platform.subscribe("mayfly.recount", { callback: (_, message) => void heard.push(message.subject) });
  await platform.flush();
  await using trigger = await runTrigger(server);
  await enabled(trigger.storage, mapping({ kind: "subject", subject: "deputy", reply: true }, { fn: "deputy" }));
  await trigger.connection.flush();
  person.publish("deputy", "1", { reply: "mayfly.recount" });
  await person.request("deputy", "2");
  expect(frontend.asked).toHaveLength(1);
  expect(heard).toEqual([]);
});

test("what listens is a micro service of its own", async () => {
  const person = await server.connect("mayfly");
  await using trigger = await runTrigger(server);
  const { uuid } = await enabled(
    trigger.storage,
    mapping({ kind: "subject", subject: "listed.*", reply: true }, { fn: "listed" }),
  );
  await trigger.connection.flush();
  const info = (await person.request("$SRV.INFO.mapping-listed", "")).json();
  expect(info).toMatchObject({
    name: "mapping-listed",
    metadata: { function: "listed", mapping: uuid },
    endpoints: [{ name: "listed", subject: "listed.*" }],
  });
});
