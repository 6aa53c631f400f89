/** Whatever is killed while events are under way, each one that was accepted ends: it succeeded, or it is a dead letter. */
import { type JetStreamClient, jetstream, jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "nats";
import { afterAll, beforeAll, expect, test } from "vitest";
import { UserAsync } from "../../subjects/async.ts";
import { DEAD_STREAM } from "../../subjects/streams.ts";
import { api, deploy } from "../support/functions.ts";
import { kill } from "../support/processes.ts";
import { type RunningSystem, startMayfly } from "../support/system.ts";

const EVENTS = 10_000;
const PUBLISHERS = 8;
/** Something is killed each time so many more events were accepted. */
const EVENTS_PER_KILL = 500;
const VICTIMS = [
  ["run", "control-plane"],
  ["worker", "--zone", "a"],
  ["-c", "nats-server.conf"],
  ["worker", "--zone", "b"],
] as const;

let system: RunningSystem;
let nats: NatsConnection;

beforeAll(async () => {
  system = await startMayfly({
    env: {
      MAYFLY_HEARTBEAT: "300",
      MAYFLY_ASYNC_RETRY_DELAYS: "200,400",
      MAYFLY_ASYNC_BACKOFF_MIN: "100",
      MAYFLY_ASYNC_BACKOFF_MAX: "1000",
      MAYFLY_ASYNC_ACK_WAIT: "3000",
    },
  });
  nats = await system.connect();
  const files = {
    "index.mjs":
      "export const handler = async ({ n }) => { if (n % 3 === 0) throw new Error(`no ${n}`); return { n }; };\n",
  };
  await deploy(await system.connect("platform"), { name: "thirds", files });
  const streams = await jetstreamManager(nats);
  await streams.streams.add({ name: "DONE", subjects: ["done.>"] });
  await api(nats, "PutFunctionEventInvokeConfig", {
    FunctionName: "thirds",
    DestinationConfig: { OnSuccess: { Destination: "arn:aws:nats:::stream/DONE/done.thirds" } },
  });
}, 60_000);
afterAll(() => system?.[Symbol.asyncDispose]());

/** Publishes until it is told that the event is stored; the id keeps a repetition from counting twice. */
async function accepted(client: JetStreamClient, n: number): Promise<void> {
  for (;;) {
    const ack = await client
      .publish(UserAsync.subject({ fn: "thirds" }), JSON.stringify({ n }), { msgID: `event-${n}`, timeout: 1000 })
      .catch(() => undefined);
    if (ack !== undefined) return;
  }
}

/** What lies in a stream, by the number of the event it tells of. */
async function numbersIn(stream: string, numberOf: (payload: unknown) => number): Promise<number[]> {
  const streams = await jetstreamManager(nats);
  const { state } = await streams.streams.info(stream);
  if (state.messages === 0) return [];
  const consumer = await jetstream(nats).consumers.get(stream);
  const numbers: number[] = [];
  for await (const message of await consumer.consume()) {
    numbers.push(numberOf(message.json()));
    if (message.info.pending === 0) break;
  }
  return numbers;
}

const done = () => numbersIn("DONE", (record) => (record as { requestPayload: { n: number } }).requestPayload.n);
const dead = () => numbersIn(DEAD_STREAM, (event) => (event as { n: number }).n);
const count = async (stream: string) => (await (await jetstreamManager(nats)).streams.info(stream)).state.messages;

test(`of ${EVENTS} events, a third of them failing, none is missing after ${EVENTS / EVENTS_PER_KILL} kills`, async () => {
  const client = jetstream(nats);
  let [next, stored] = [0, 0];
  const killed: string[] = [];
  const publish = async () => {
    while (next < EVENTS) {
      await accepted(client, next++);
      stored += 1;
      if (stored % EVENTS_PER_KILL !== 0) continue;
      const victim = VICTIMS[killed.length % VICTIMS.length] ?? [];
      // One that is still coming back from the last time has been killed enough.
      await kill(system.home, ...victim).catch(() => {});
      killed.push(victim.join(" "));
    }
  };
  await Promise.all(Array.from({ length: PUBLISHERS }, publish));

  const ended = async () => (await count("DONE").catch(() => 0)) + (await count(DEAD_STREAM).catch(() => 0));
  await expect.poll(ended, { timeout: 180_000, interval: 500 }).toBeGreaterThanOrEqual(EVENTS);
  const all = Array.from({ length: EVENTS }, (_, n) => n);
  const missing = async () => {
    const [succeeded, gaveUp] = [new Set(await done()), new Set(await dead())];
    return all.filter((n) => !succeeded.has(n) && !gaveUp.has(n));
  };
  await expect.poll(missing, { timeout: 60_000, interval: 500 }).toEqual([]);
  const [succeeded, gaveUp] = [await done(), await dead()];
  expect(new Set(gaveUp)).toEqual(new Set(all.filter((n) => n % 3 === 0)));
  expect(new Set(succeeded)).toEqual(new Set(all.filter((n) => n % 3 !== 0)));
  const twice = succeeded.length - new Set(succeeded).size + gaveUp.length - new Set(gaveUp).size;
  console.info(
    `${killed.length} kills; ${succeeded.length + gaveUp.length} ends of ${EVENTS} events, ${twice} told twice`,
  );
}, 300_000);
