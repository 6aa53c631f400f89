/** What is accepted comes to an end, also when nobody could run it or be told of it. */
import { jetstreamManager } from "@nats-io/jetstream";
import { headers, type NatsConnection, nanos } from "nats";
import { pino } from "pino";
import { expect, test } from "vitest";
import { makeStreams } from "../../actors/bus/streams.ts";
import { maxPayloadBytes } from "../../config/nats/server-conf.ts";
import { Dead, UNKNOWN } from "../../subjects/dead.ts";
import { DEAD_REASON, ORIGINAL_SUBJECT, REQUEST_ID } from "../../subjects/headers.ts";
import { ASYNC_STREAMS, DEAD_STREAM, RETRY_STREAM } from "../../subjects/streams.ts";
import { DEFAULT_ACCOUNT } from "../../subjects/tokens.ts";
import { functionRecord } from "../support/function-record.ts";
import { poller, setting, until } from "../support/poller.ts";

const DEAD_OF_UNKNOWN = Dead.subject({ acct: DEFAULT_ACCOUNT, fn: UNKNOWN });
const OTHER_ACCOUNT = "000000000001";

async function lettersOf(nats: NatsConnection) {
  const { streams, direct } = await jetstreamManager(nats);
  const { state } = await streams.info(DEAD_STREAM);
  const letters = [];
  for (let seq = 1; seq <= state.last_seq; seq++) letters.push(await direct.getMessage(DEAD_STREAM, { seq }));
  return letters.filter((each) => each !== null);
}

test("events for what can be no function are dead letters that tell their subject, once with two pollers", async () => {
  const ran: string[] = [];
  const { server, nats, left } = await setting(
    (run) => {
      ran.push(run.payload);
      run.ok();
    },
    [functionRecord(UNKNOWN)],
  );
  const pollers = [await poller(server), await poller(server)];
  const sent = headers();
  sent.set(REQUEST_ID, "mine");
  const send = (subject: string, payload: string) => nats.request(subject, payload, { headers: sent, timeout: 2000 });
  await Promise.all([
    send("mayfly.async.he$lo", "1"),
    send("mayfly.async.he$lo", "2"),
    send("mayfly.async.he$lo.live", "3"),
    send("mayfly.async.unknown", "4"),
  ]);
  await until(left).toBe(0);
  expect(ran).toEqual(["4"]);

  const letters = await lettersOf(nats);
  expect(letters.map((each) => each.string()).sort()).toEqual(["1", "2", "3"]);
  for (const { subject, header } of letters) {
    expect(subject).toBe(DEAD_OF_UNKNOWN);
    expect(header.get(DEAD_REASON)).toBe("FunctionNotFound");
    expect(header.get(ORIGINAL_SUBJECT)).toMatch(/^mayfly\.000000000000\.async\.[0-7]\.he\$lo(\.live)?$/);
    expect(header.get(REQUEST_ID)).toBe("mine");
  }
  for (const { totals } of pollers)
    await until(totals).toMatchObject({ accepted: 4, succeeded: 1, dead: 3, waiting: 0 });
});

test("nothing in the queues is ever too old for the server, which would drop it without a word", async () => {
  const { nats } = await setting(() => {});
  const { streams } = await jetstreamManager(nats);
  // As an earlier version made it.
  await streams.update(RETRY_STREAM, { max_age: nanos(25_200_000) });
  await makeStreams(nats, { replicas: 1 });
  for (const name of [...ASYNC_STREAMS, RETRY_STREAM])
    expect((await streams.info(name)).config).toMatchObject({ max_age: 0, max_msgs: -1, max_bytes: -1 });
});

test("events of an account that a poller doesn't serve stay where they are, and are told once", async () => {
  const { logged, log } = listening();
  const { server, nats, left } = await setting(() => {});
  await nats.request(`mayfly.${OTHER_ACCOUNT}.enqueue.f`, "{}", { timeout: 2000 });
  await nats.request(`mayfly.${OTHER_ACCOUNT}.enqueue.he$lo`, "{}", { timeout: 2000 });
  await poller(server, {}, log);
  // Counted again, later than those: a stray of our own is found by no hint.
  for (const each of [1, 2]) {
    await nats.request("mayfly.async.he$lo", "{}", { timeout: 2000 });
    await until(async () => (await lettersOf(nats)).length).toBe(each);
  }
  await until(left).toBe(2);
  expect(logged.filter(({ acct, fn }) => acct === OTHER_ACCOUNT && fn === undefined)).toHaveLength(1);
});

test("a record that is too big to be published on its destination's subject is logged, and counted as undelivered", async () => {
  const { logged, log } = listening();
  const done = "arn:aws:nats:::subject/done";
  const config = { LastModified: 0, DestinationConfig: { OnSuccess: { Destination: done }, OnFailure: {} } };
  const f = { ...functionRecord("f"), eventInvoke: { $LATEST: config } };
  // As JSON in JSON each quote takes two bytes: what fits into an answer doesn't into a record of it.
  const { server, publish, left } = await setting((run) => run.ok('"'.repeat(maxPayloadBytes * 0.6)), [f]);
  const { totals } = await poller(server, {}, log);
  await publish("f", "{}");
  await until(left).toBe(0);
  await until(async () => (await totals()).functions[`${DEFAULT_ACCOUNT}.f`]).toMatchObject({
    succeeded: 1,
    undelivered: 1,
  });
  expect(logged.filter(({ to }) => to === done)).toMatchObject([{ msg: "destination not told", fn: "f" }]);
});

/** What is logged, as it is logged. */
function listening() {
  const logged: Array<Record<string, unknown>> = [];
  return { logged, log: pino({ level: "warn" }, { write: (line) => void logged.push(JSON.parse(line)) }) };
}
