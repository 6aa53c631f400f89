/** Whatever is killed while events are under way, each one that was accepted ends: it succeeded, or it is a dead letter. */
import { setTimeout } from "node:timers/promises";
import { jetstream } from "@nats-io/jetstream";
import type { NatsConnection } from "nats";
import { expect, test } from "vitest";
import type { Totals } from "../../actors/poller/tally.ts";
import { ASYNC_STREAMS } from "../../subjects/streams.ts";
import { startCluster } from "../support/cluster.ts";
import { burn, seedOf } from "../support/fire.ts";
import { kill } from "../support/processes.ts";
import { runBeside, startMayfly } from "../support/system.ts";
import {
  accepted,
  deployThirds,
  endsOf,
  howManyEnded,
  missing,
  superfluousRuns,
  toldTwice,
} from "../support/thirds.ts";

const PUBLISHERS = 8;
const EVENTS = 10_000;
const FIRE_MS = 60_000;

const HASTE = {
  MAYFLY_HEARTBEAT: "300",
  MAYFLY_ASYNC_RETRY_DELAYS: "200,400",
  MAYFLY_ASYNC_BACKOFF_MIN: "100",
  MAYFLY_ASYNC_BACKOFF_MAX: "1000",
  MAYFLY_ASYNC_ACK_WAIT: "3000",
};

/** Publishes so many events, evenly over a time. */
async function spread(nats: NatsConnection, events: number, overMs: number): Promise<void> {
  const client = jetstream(nats);
  const began = performance.now();
  let next = 0;
  const publish = async () => {
    while (next < events) {
      const n = next++;
      await setTimeout(Math.max(0, began + (n / events) * overMs - performance.now()));
      await accepted(client, n);
    }
  };
  await Promise.all(Array.from({ length: PUBLISHERS }, publish));
}

/** As any poller tells it. */
async function accounted(nats: NatsConnection) {
  try {
    const { id } = (await nats.request("$SRV.PING.mayfly-poller", "", { timeout: 2000 })).json<{ id: string }>();
    return (await nats.request(`mayfly.inspect.poller.${id}`, "", { timeout: 2000 })).json<Totals>();
  } catch {
    return undefined;
  }
}

/** Publishes so many events; each time `every` more were accepted, something is killed. Resolves with what was. */
async function underFire(
  nats: NatsConnection,
  { events, every }: { readonly events: number; readonly every: number },
  strike: (turn: number) => Promise<string | undefined>,
): Promise<string[]> {
  const client = jetstream(nats);
  const struck: string[] = [];
  let [next, stored] = [0, 0];
  const publish = async () => {
    while (next < events) {
      await accepted(client, next++);
      stored += 1;
      const victim = stored % every === 0 ? await strike(stored / every) : undefined;
      if (victim !== undefined) struck.push(victim);
    }
  };
  await Promise.all(Array.from({ length: PUBLISHERS }, publish));
  return struck;
}

async function expectNoneMissing(nats: NatsConnection, events: number): Promise<void> {
  const ended = () => howManyEnded(nats).catch(() => 0);
  await expect.poll(ended, { timeout: 180_000, interval: 500 }).toBeGreaterThanOrEqual(events);
  await expect.poll(async () => missing(await endsOf(nats), events), { timeout: 60_000, interval: 500 }).toEqual([]);
  const ends = await endsOf(nats);
  expect(ends.dead.filter((n) => n % 3 !== 0).map((n) => `${n}: ${ends.why.get(n)}`)).toEqual([]);
  expect(ends.succeeded.filter((n) => n % 3 === 0)).toEqual([]);
  const [twice, more] = [toldTwice(ends), await superfluousRuns(nats)];
  console.info(`${events} events: all ended; duplicates: ${twice} ends told twice, ${more} attempts made once more`);
}

test("of 10,000 events, a third of them failing, none is missing after a minute of kills at random", async () => {
  const seed = seedOf(process.env);
  console.info(`MAYFLY_TEST_SEED=${seed}`);
  await using system = await startMayfly({ env: HASTE });
  const nats = await system.connect();
  await deployThirds(nats);
  // Beside those that came with it, a poller, a front end and a worker of their own.
  await using others = runBeside(system, "poller", "frontend", "worker");
  const [fire] = await Promise.all([
    burn({
      seed,
      forMs: FIRE_MS,
      pauseMs: { min: 500, max: 3500 },
      victims: {
        plane: () => kill(system.home, "run", "control-plane"),
        poller: () => others.kill("poller"),
        frontend: () => others.kill("frontend"),
        workers: () => kill(system.home, "worker", "--zone"),
        worker: () => others.kill("worker"),
        "nats-server": () => kill(system.home, "-c", "nats-server.conf"),
      },
    }),
    spread(nats, EVENTS, FIRE_MS),
  ]);
  console.info(`killed: ${JSON.stringify(fire)}`);
  for (const name of Object.keys(fire)) expect(fire[name], `${name} was never hit`).toBeGreaterThan(0);
  await expectNoneMissing(nats, EVENTS);
  const totals = () => accounted(nats);
  await expect.poll(totals, { timeout: 60_000, interval: 500 }).toMatchObject({ waiting: 0, running: 0 });
  const { accepted = 0, succeeded = 0, dead = 0 } = (await totals()) ?? {};
  const ends = await endsOf(nats);
  // A publisher that lost its acknowledgement sends again: beyond a crash of the server that may be accepted twice.
  console.info(`accepted ${accepted}, of which ${accepted - EVENTS} twice: ${succeeded} succeeded, ${dead} dead`);
  expect(accepted).toBeGreaterThanOrEqual(EVENTS);
  expect(dead).toBe(ends.dead.length);
  expect(succeeded).toBe(accepted - dead);
}, 400_000);

test("nor in a cluster of three, when the server that leads the events' stream is killed", async () => {
  await using cluster = await startCluster();
  const { url, user, password } = cluster;
  const login = { MAYFLY_NATS_URL: url, MAYFLY_NATS_USER: user, MAYFLY_NATS_PASSWORD: password };
  await using _ = await startMayfly({ env: { ...HASTE, ...login, MAYFLY_REPLICAS: "3" } });
  const nats = await cluster.connect();
  await deployThirds(nats, 3);
  const { stream } = await jetstream(nats).publish("mayfly.async.thirds", '{"n":0}', { msgID: "event-0" });
  expect(ASYNC_STREAMS).toContain(stream);
  const killed = await underFire(nats, { events: 3000, every: 1000 }, () => cluster.killLeaderOf(stream));
  expect(killed.length).toBe(3);
  await expectNoneMissing(nats, 3000);
}, 300_000);
