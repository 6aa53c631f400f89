/**
 * Asynchronous invokes against what they are made of: storing an event against a bare publish with acknowledgement,
 * running events against the same function's synchronous calls, and an event's way from publish to start against a warm call.
 */
import { setTimeout } from "node:timers/promises";
import { jetstream, jetstreamManager, RetentionPolicy } from "@nats-io/jetstream";
import type { NatsConnection } from "nats";
import { Queued, UserAsync } from "../../subjects/async.ts";
import { UserInvoke } from "../../subjects/invoke.ts";
import { ASYNC_STREAMS } from "../../subjects/streams.ts";
import { DEFAULT_ACCOUNT } from "../../subjects/tokens.ts";
import { median, ms, times } from "./figures.ts";

export interface DurablePlan {
  /** Answers at once, and publishes nothing. */
  readonly fn: string;
  /** Its queue is paused: what it accepts is only stored. */
  readonly parked: string;
  /** Answers with the epoch milliseconds at which it was started; its destination on success is the subject `bench.done.<fn>`. */
  readonly clock: string;
  /** Waits a second. */
  readonly slow: string;
  readonly rounds: number;
  readonly events: number;
  /** Queued for the slow function while another one's event is timed. */
  readonly crowd: number;
}

const IN_FLIGHT = 64;
/** Into so many the rounds of accepts are cut. */
const SHORT = 5;
const PAYLOAD = '{"name":"Ada"}';
const BARE = "BENCH_BARE";

export async function benchDurable(connection: NatsConnection, plan: DurablePlan): Promise<readonly string[]> {
  const streams = await jetstreamManager(connection);
  await streams.streams.add({ name: BARE, subjects: ["bench.bare"], retention: RetentionPolicy.Workqueue });
  const [bare, accepts, sync, runs]: [number[], number[], number[], number[]] = [[], [], [], []];
  const share: number[] = [];
  // Many short rounds, each between two bare ones: what else the machine does then falls on both.
  for (let round = 0; round < plan.rounds * SHORT; round++) {
    const count = Math.ceil(plan.events / SHORT);
    const before = await publishing(connection, "bench.bare", count);
    const accepted = await publishing(connection, UserAsync.subject({ fn: plan.parked }), count);
    const after = await publishing(connection, "bench.bare", count);
    bare.push(before, after);
    accepts.push(accepted);
    share.push((2 * accepted) / (before + after));
    await streams.streams.purge(BARE);
  }
  for (let round = 0; round < plan.rounds; round++) {
    sync.push(
      await perSecond(plan.events, () =>
        connection.request(UserInvoke.subject({ fn: plan.fn }), PAYLOAD, { timeout: 30_000 }),
      ),
    );
    const began = performance.now();
    await publishing(connection, UserAsync.subject({ fn: plan.fn }), plan.events);
    await drained(connection, plan.fn);
    runs.push((plan.events / (performance.now() - began)) * 1000);
  }
  const warm = await warmCalls(connection, plan.clock);
  const idle = await starts(connection, plan.clock);
  await publishing(connection, UserAsync.subject({ fn: plan.slow }), plan.crowd);
  const crowded = await starts(connection, plan.clock);
  return [
    `durable accepts: ${times(median(share))} a bare publish's; events run: ${times(median(runs) / median(sync))} the synchronous calls'`,
    `from publish to start: p50 ${times(median(idle) / median(warm))} a warm call's; with ${plan.crowd} events queued for a slow function ${times(median(crowded) / median(idle))} that`,
    `accepts ${Math.round(median(accepts))}/s, bare ${Math.round(median(bare))}/s; runs ${Math.round(median(runs))}/s, synchronous ${Math.round(median(sync))}/s`,
    `publish to start ${ms(median(idle))}, crowded ${ms(median(crowded))}, warm call ${ms(median(warm))}`,
  ];
}

async function perSecond(count: number, one: () => Promise<unknown>): Promise<number> {
  let left = count;
  const began = performance.now();
  const worker = async () => {
    while (left-- > 0) await one();
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
  return (count / (performance.now() - began)) * 1000;
}

const publishing = (connection: NatsConnection, subject: string, count: number): Promise<number> => {
  const client = jetstream(connection);
  return perSecond(count, () => client.publish(subject, PAYLOAD, { timeout: 10_000 }));
};

/** Resolves when no event of the function is left in any queue, looked at often enough for a figure of seconds. */
async function drained(connection: NatsConnection, fn: string): Promise<void> {
  const { streams } = await jetstreamManager(connection);
  const filter = Queued.subject({ acct: DEFAULT_ACCOUNT, fn });
  const left = async () => {
    const infos = await Promise.all(ASYNC_STREAMS.map((name) => streams.info(name, { subjects_filter: filter })));
    return infos.some(({ state }) => Object.keys(state.subjects ?? {}).length > 0);
  };
  while (await left()) await setTimeout(20);
}

/** Milliseconds of warm calls, one at a time. */
async function warmCalls(connection: NatsConnection, fn: string): Promise<number[]> {
  const took: number[] = [];
  for (let i = 0; i < 200; i++) {
    const began = performance.now();
    await connection.request(UserInvoke.subject({ fn }), PAYLOAD, { timeout: 10_000 });
    took.push(performance.now() - began);
  }
  return took.slice(20);
}

/** Milliseconds from publish to the function's first line, one event at a time. */
async function starts(connection: NatsConnection, fn: string): Promise<number[]> {
  const client = jetstream(connection);
  const told: Array<(at: number) => void> = [];
  const subscription = connection.subscribe(`bench.done.${fn}`, {
    callback: (_, message) => told.shift()?.(message.json<{ responsePayload: number }>().responsePayload),
  });
  const took: number[] = [];
  for (let i = 0; i < 100; i++) {
    const started = new Promise<number>((resolve) => told.push(resolve));
    const began = performance.timeOrigin + performance.now();
    await client.publish(UserAsync.subject({ fn }), PAYLOAD);
    took.push((await started) - began);
  }
  subscription.unsubscribe();
  return took.slice(10);
}
