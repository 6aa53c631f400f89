/** What sandboxes that wait cost: a warm call beside ten of them and beside very many, and the worker's own processor time. */
import { readFile } from "node:fs/promises";
import { setTimeout } from "node:timers/promises";
import type { NatsConnection } from "nats";
import { FUNCTION_ERROR, RAN_ON, START } from "../../subjects/headers.ts";
import { deploy, HELLO_NODE } from "../support/functions.ts";
import { pidsOf } from "../support/processes.ts";
import { startMayfly } from "../support/system.ts";
import { type Figures, figures, median, ms, times } from "./figures.ts";

export interface DensityPlan {
  readonly few: number;
  readonly many: number;
  readonly requests: number;
  readonly rounds: number;
  readonly watchMs: number;
}

/** Answers when everybody has arrived, so that each call needs a sandbox of its own. */
const WAITS = {
  "index.js":
    "exports.handler = ({ until }) => new Promise((resolve) => setTimeout(resolve, Math.max(0, until - Date.now())));\n",
};
/** A small machine makes so many in a second when it is busy with other things too. */
const PER_SECOND = 8;
const ATTEMPTS = 5;
const ASK_MS = 600_000;
const TICKS_PER_SECOND = 100;

export async function benchDensity({ few, many, requests, rounds, watchMs }: DensityPlan): Promise<string[]> {
  const env = {
    MAYFLY_ZONES: "a",
    MAYFLY_WORKER_MEMORY: String((many + 10) * 128),
    MAYFLY_CONCURRENCY: String(many + 10),
    MAYFLY_IDLE_TIMEOUT: "3600000",
    MAYFLY_RESERVE_TIMEOUT: String(ASK_MS),
  };
  await using system = await startMayfly({ env });
  const connection = await system.connect("platform");
  await deploy(connection, { name: "hello", files: HELLO_NODE });
  await deploy(connection, { name: "waits", files: WAITS, timeout: 900 });
  const warm = async (): Promise<Figures> => {
    const taken: Figures[] = [];
    for (let round = 0; round < rounds; round++) taken.push(await warmCalls(connection, requests));
    return {
      p50Ms: median(taken.map(({ p50Ms }) => p50Ms)),
      p99Ms: median(taken.map(({ p99Ms }) => p99Ms)),
      perSecond: median(taken.map(({ perSecond }) => perSecond)),
      errors: taken.reduce((sum, { errors }) => sum + errors, 0),
    };
  };
  const made = { few: await crowd(connection, few) };
  const [cpuWithFew, withFew] = [await cpuOf(await workerOf(system.home), watchMs), await warm()];
  const all = { ...made, many: await crowd(connection, many) };
  const [cpuWithMany, withMany] = [await cpuOf(await workerOf(system.home), watchMs), await warm()];
  return [
    `warm, beside ${all.many} idle sandboxes: p50 ${times(withMany.p50Ms / withFew.p50Ms)}, p99 ${times(withMany.p99Ms / withFew.p99Ms)} ` +
      `what it is beside ${all.few}; errors ${withMany.errors}`,
    `the worker's own processor time while all of them wait: ${percent(cpuWithMany)} of one; with ${all.few} ${percent(cpuWithFew)}`,
    `warm, beside ${all.few}: p50 ${ms(withFew.p50Ms)} p99 ${ms(withFew.p99Ms)}; beside ${all.many}: p50 ${ms(withMany.p50Ms)} p99 ${ms(withMany.p99Ms)}`,
  ];
}

/** Has `count` calls run at the same time, again until all had a sandbox of their own. Returns how many sandboxes there are. */
async function crowd(connection: NatsConnection, count: number): Promise<number> {
  const seen = new Set<string>();
  for (let attempt = 0; attempt < ATTEMPTS && seen.size < count; attempt++) {
    const until = Date.now() + 5000 + ((count - seen.size) / PER_SECOND) * 1000;
    const call = () => connection.request("mayfly.invoke.waits", JSON.stringify({ until }), { timeout: ASK_MS });
    const replies = await Promise.all(Array.from({ length: count }, call));
    for (const { headers } of replies) seen.add(headers?.get(RAN_ON) ?? "");
    seen.delete("");
  }
  return seen.size;
}

async function warmCalls(connection: NatsConnection, count: number): Promise<Figures> {
  const timesMs: number[] = [];
  let errors = 0;
  const from = performance.now();
  for (let call = 0; call < count; call++) {
    const began = performance.now();
    const reply = await connection.request("mayfly.invoke.hello", '{"name":"Ada"}', { timeout: ASK_MS });
    timesMs.push(performance.now() - began);
    if (reply.headers?.has(FUNCTION_ERROR) || !reply.headers?.has(START)) errors += 1;
  }
  return figures(timesMs, performance.now() - from, errors);
}

async function workerOf(home: Parameters<typeof pidsOf>[0]): Promise<number> {
  const [pid] = await pidsOf(home, "worker");
  if (pid === undefined) throw new Error("no worker runs");
  return pid;
}

async function cpuOf(pid: number, watchMs: number): Promise<number> {
  const [before, from] = [await ticksOf(pid), performance.now()];
  await setTimeout(watchMs);
  return ((await ticksOf(pid)) - before) / TICKS_PER_SECOND / ((performance.now() - from) / 1000);
}

async function ticksOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
