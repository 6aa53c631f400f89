/** The poller on a real server, with a front end that answers as the test wants. */
import { AckPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { headers, type NatsConnection, nanos } from "nats";
import { expect, onTestFinished, test } from "vitest";
import { openStorage } from "../../actors/bus/storage.ts";
import { RunEvent, UserAsyncQualified } from "../../subjects/async.ts";
import { ATTEMPT, CLIENT_CONTEXT, REQUEST_ID } from "../../subjects/headers.ts";
import { RETRY_STREAM } from "../../subjects/streams.ts";
import { DEFAULT_ACCOUNT } from "../../subjects/tokens.ts";
import { functionRecord } from "../support/function-record.ts";
import { startRestartableServer } from "../support/nats.ts";
import { ACK_WAIT_MS, poller, type Run, runFrom, setting, until } from "../support/poller.ts";

test("no more events of a function run at a time than its limit, and another function doesn't wait for them", async () => {
  const held: Run[] = [];
  const seen: string[] = [];
  const hot = { ...functionRecord("hot"), queue: { MaximumConcurrency: 2 } };
  const { server, publish, left } = await setting(
    (run) => {
      seen.push(run.fn);
      if (run.fn === "hot") held.push(run);
      else run.ok();
    },
    [hot],
  );
  for (let each = 0; each < 20; each++) await publish("hot", "{}");
  await poller(server);
  await until(() => held.length).toBe(2);
  await publish("cold", "{}");
  await until(() => seen.includes("cold")).toBe(true);
  expect(held.length).toBe(2);
  for (let each = 0; each < 20; each++) {
    await until(() => held.length > each).toBe(true);
    expect(held.length - each).toBeLessThanOrEqual(2);
    held[each]?.ok();
  }
  await until(left).toBe(0);
});

test("an event whose poller is gone is run by another one, under the same request id", async () => {
  const runs: Run[] = [];
  const { server, publish, left } = await setting((run) => void runs.push(run));
  const first = await poller(server);
  await publish("f", "{}");
  await until(() => runs.length).toBe(1);
  await first.kill();
  await poller(server);
  await until(() => runs.length).toBe(2);
  runs[1]?.ok();
  expect(runs[1]?.call).toEqual(runs[0]?.call);
  await until(left).toBe(0);
});

test("a long run keeps its event: nobody else gets it while it is worked on", async () => {
  const runs: Run[] = [];
  const { server, nats, publish, left } = await setting((run) => void runs.push(run));
  await poller(server);
  await poller(server);
  await publish("long", "{}");
  await until(() => runs.length).toBe(1);
  await passed(nats, 2 * ACK_WAIT_MS);
  expect(runs.length).toBe(1);
  runs[0]?.ok();
  await until(left).toBe(0);
});

/** By the server's own clock: a message that is taken and not acknowledged comes again when the time is over. */
async function passed(nats: NatsConnection, ms: number): Promise<void> {
  const { streams, consumers } = await jetstreamManager(nats);
  await streams.add({ name: "CLOCK", subjects: ["clock"] });
  await consumers.add("CLOCK", { durable_name: "clock", ack_policy: AckPolicy.Explicit, ack_wait: nanos(ms) });
  const clock = await jetstream(nats).consumers.get("CLOCK", "clock");
  await nats.request("clock");
  await clock.next();
  await clock.next({ expires: 10 * ms });
}

test.each([
  { server: "with schedules", hasSchedules: true },
  { server: "without schedules", hasSchedules: false },
])("on a server $server errors and faults lead to the next attempt, counted apart", async ({ hasSchedules }) => {
  const calls: Array<{ id: string; attempt: number }> = [];
  const { server, publish, left } = await setting((run) => {
    calls.push({ id: run.call.requestId, attempt: run.call.attempt });
    if (calls.length === 1) run.refuse(429, "TooManyRequestsException");
    else if (calls.length === 2) run.fail();
    else if (calls.length === 3) run.refuse(500, "ServiceException");
    else run.ok();
  });
  await poller(server, { hasSchedules });
  await publish("f", "{}");
  await until(() => calls.length).toBe(4);
  expect(calls.map(({ attempt }) => attempt)).toEqual([1, 1, 2, 2]);
  expect(new Set(calls.map(({ id }) => id)).size).toBe(1);
  await until(left).toBe(0);
});

test("while no front end listens events wait, and run as soon as one does", async () => {
  const server = await startRestartableServer();
  onTestFinished(() => server[Symbol.asyncDispose]());
  const nats = await server.connect();
  await openStorage(nats, { replicas: 1, asyncDepth: 1000 });
  const { events } = await poller(server);
  await nats.request("mayfly.async.f", "{}", { timeout: 2000 });
  const { streams } = await jetstreamManager(nats);
  await until(async () => (await streams.info(RETRY_STREAM)).state.last_seq > 1).toBe(true);
  const ran = Promise.withResolvers<Run>();
  nats.subscribe(RunEvent.subject(), { queue: "frontend", callback: (_, message) => ran.resolve(runFrom(message)) });
  const run = await ran.promise;
  expect(run.call.attempt).toBe(1);
  run.ok();
  await until(() => events.size).toBe(0);
});

test("events survive the server's sudden end, and those whose answers were lost with it run again", async () => {
  const runs: Run[] = [];
  const { server, publish, left } = await setting((run) => void runs.push(run), [functionRecord("f")]);
  await poller(server, { overheadMs: 100 });
  for (let each = 0; each < 10; each++) await publish("f", String(each));
  await until(() => runs.length).toBe(4);
  await server.restart();
  const done = new Set<string>();
  await until(() => {
    for (const run of runs.splice(0)) {
      run.ok();
      done.add(run.payload);
    }
    return done.size;
  }).toBe(10);
  await until(async () => {
    for (const run of runs.splice(0)) run.ok();
    return left().catch(() => -1);
  }).toBe(0);
});

test("an event for a version or alias is run as such, with the ids and the context its sender gave", async () => {
  const runs: Run[] = [];
  const { server, nats, left } = await setting((run) => {
    runs.push(run);
    run.ok();
  });
  await poller(server);
  const sent = headers();
  sent.set(REQUEST_ID, "my-own-id");
  sent.set(CLIENT_CONTEXT, "e30=");
  sent.set(ATTEMPT, "3");
  await nats.request(UserAsyncQualified.subject({ fn: "f", qualifier: "live" }), "{}", {
    headers: sent,
    timeout: 2000,
  });
  await until(left).toBe(0);
  expect(runs.map(({ call }) => call)).toEqual([
    { requestId: "my-own-id", attempt: 1, qualifier: "live", clientContext: "e30=" },
  ]);
});

test("a backlog without work goes, and comes back with the next event", async () => {
  const seen: string[] = [];
  const { server, publish } = await setting((run) => {
    seen.push(run.payload);
    run.ok();
  });
  const { backlogs } = await poller(server, { idleMs: 200 });
  await publish("f", "1");
  await until(() => seen.length).toBe(1);
  await until(() => backlogs.size).toBe(0);
  await publish("f", "2");
  await until(() => seen).toEqual(["1", "2"]);
});

test("in a flood for one function an event for another that sleeps is found at once, though not every hint is heard", async () => {
  const seen = new Set<string>();
  const { server, publish } = await setting(
    (run) => {
      seen.add(run.fn);
      run.ok();
    },
    [{ ...functionRecord("flood"), queue: { Paused: true } }],
  );
  const { backlogs } = await poller(server, { countMs: 3_600_000 });
  const sleepers = Array.from({ length: 24 }, (_, at) => `sleeper${at}`);
  const stored: Promise<unknown>[] = [];
  for (const sleeper of sleepers) {
    for (let each = 0; each < 40; each++) stored.push(publish("flood", "{}"));
    stored.push(publish(sleeper, "{}"));
  }
  await Promise.all(stored);
  await until(() => [...seen].sort()).toEqual([...sleepers].sort());
  expect(backlogs.snapshot(`${DEFAULT_ACCOUNT}-flood`)?.value).toBe("paused");
});

test("more events than the depth allows are refused, not dropped", async () => {
  const { nats } = await setting(() => {});
  const replies = [];
  for (let each = 0; each < 1001; each++) replies.push(nats.request("mayfly.async.full", "{}", { timeout: 5000 }));
  const acks = (await Promise.all(replies)).map((reply) => reply.json<{ error?: { err_code: number } }>());
  expect(acks.filter(({ error }) => error !== undefined)).toMatchObject([{ error: { err_code: 10077 } }]);
});
