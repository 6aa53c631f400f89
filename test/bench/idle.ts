/** What functions with triggers cost while nothing happens: memory and processor time of the whole system, before and with them. */
import { readFile } from "node:fs/promises";
import { setTimeout } from "node:timers/promises";
import type { NatsConnection } from "nats";
import type { Home } from "../../bin/embedded/home.ts";
import { api, deploy, HELLO_NODE } from "../support/functions.ts";
import { pidsOf } from "../support/processes.ts";

export interface IdlePlan {
  readonly functions: number;
  readonly home: Home;
  readonly watchMs: number;
}

interface Cost {
  readonly rssMiB: number;
  /** Share of one processor. */
  readonly cpu: number;
}

const AT_ONCE = 16;
/** Linux has had it so on every architecture that matters here. */
const TICKS_PER_SECOND = 100;
const KIB_PER_MIB = 1024;

export async function benchIdle(connection: NatsConnection, plan: IdlePlan): Promise<string> {
  const { functions, home, watchMs } = plan;
  const before = await costOf(home, watchMs);
  let next = 0;
  const make = async () => {
    while (next < functions) {
      const name = `idle-${next++}`;
      await deploy(connection, { name, files: HELLO_NODE });
      await api(connection, "CreateEventSourceMapping", {
        FunctionName: name,
        EventSourceArn: `arn:aws:nats:::subject/bench.${name}`,
      });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, make));
  const after = await costOf(home, watchMs);
  return (
    `${functions} idle functions with triggers: ${share(after)} where there was ${share(before)}, ` +
    `${(((after.rssMiB - before.rssMiB) * KIB_PER_MIB) / functions).toFixed(0)} KiB each`
  );
}

const share = ({ rssMiB, cpu }: Cost): string =>
  `${Math.round(rssMiB)} MiB and ${(cpu * 100).toFixed(1)} % of a processor`;

async function costOf(home: Home, watchMs: number): Promise<Cost> {
  const pids = await pidsOf(home);
  const [began, from] = [await ticksOf(pids), performance.now()];
  await setTimeout(watchMs);
  const ticks = (await ticksOf(pids)) - began;
  const rss = await Promise.all(
    pids.map(async (pid) => Number(/VmRSS:\s+(\d+)/.exec(await proc(pid, "status"))?.[1] ?? 0)),
  );
  return {
    rssMiB: rss.reduce((sum, each) => sum + each, 0) / KIB_PER_MIB,
    cpu: ticks / TICKS_PER_SECOND / ((performance.now() - from) / 1000),
  };
}

async function ticksOf(pids: readonly number[]): Promise<number> {
  const each = await Promise.all(
    pids.map(async (pid) => {
      const stat = await proc(pid, "stat");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
    }),
  );
  return each.reduce((sum, ticks) => sum + ticks, 0);
}

const proc = (pid: number, file: string): Promise<string> => readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "");
