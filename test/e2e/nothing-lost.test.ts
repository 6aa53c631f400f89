/** Whatever is killed while events are under way, each one that was accepted ends: it succeeded, or it is a dead letter. */
import { jetstream } from "@nats-io/jetstream";
import type { NatsConnection } from "nats";
import { expect, test } from "vitest";
import { ASYNC_STREAMS } from "../../subjects/streams.ts";
import { startCluster } from "../support/cluster.ts";
import { kill } from "../support/processes.ts";
import { startMayfly } from "../support/system.ts";
import { accepted, deployThirds, endsOf, howManyEnded, missing, toldTwice } from "../support/thirds.ts";

const PUBLISHERS = 8;
const VICTIMS = [
  ["run", "control-plane"],
  ["worker", "--zone", "a"],
  ["-c", "nats-server.conf"],
  ["worker", "--zone", "b"],
] as const;

const HASTE = {
  MAYFLY_HEARTBEAT: "300",
  MAYFLY_ASYNC_RETRY_DELAYS: "200,400",
  MAYFLY_ASYNC_BACKOFF_MIN: "100",
  MAYFLY_ASYNC_BACKOFF_MAX: "1000",
  MAYFLY_ASYNC_ACK_WAIT: "3000",
};

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
  expect(ends.dead.filter((n) => n % 3 !== 0)).toEqual([]);
  expect(ends.succeeded.filter((n) => n % 3 === 0)).toEqual([]);
  console.info(`${events} events: all ended, ${toldTwice(ends)} ends were told twice`);
}

test("of 10,000 events, a third of them failing, none is missing, whichever process is killed", async () => {
  await using system = await startMayfly({ env: HASTE });
  const nats = await system.connect();
  await deployThirds(nats);
  const killed = await underFire(nats, { events: 10_000, every: 500 }, async (turn) => {
    const victim = VICTIMS[turn % VICTIMS.length] ?? [];
    // One that is still coming back from the last time has been killed enough.
    return kill(system.home, ...victim).then(
      () => victim.join(" "),
      () => undefined,
    );
  });
  expect(new Set(killed).size).toBe(VICTIMS.length);
  await expectNoneMissing(nats, 10_000);
}, 300_000);

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
