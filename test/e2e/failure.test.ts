/** Whatever is killed, the system returns to serving by itself, and nobody is left without an answer. */
import { readdir, readFile } from "node:fs/promises";
import type { NatsConnection } from "nats";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { configure, deploy } from "../support/functions.ts";
import { type RunningSystem, startMayfly } from "../support/system.ts";

let system: RunningSystem;
let nats: NatsConnection;

beforeAll(async () => {
  system = await startMayfly({ env: { MAYFLY_HEARTBEAT: "300" } });
  nats = await system.connect();
  const files = {
    "index.mjs":
      "export const handler = (event) => new Promise((resolve) => setTimeout(resolve, event.ms ?? 0, process.env.MARK ?? 'done'));\n",
  };
  await deploy(await system.connect("platform"), { name: "waits", files, timeout: 20 });
});
afterAll(() => system?.[Symbol.asyncDispose]());

const invoke = async (ms = 0, timeout = 30_000): Promise<string> => {
  const reply = await nats.request("mayfly.invoke.waits", JSON.stringify({ ms }), { timeout });
  return reply.headers?.get("Nats-Service-Error") || reply.string();
};

/** The pids of this system's processes whose command line has all the words. */
async function pidsOf(...words: string[]): Promise<number[]> {
  const pids = (await readdir("/proc")).filter((each) => /^\d+$/.test(each));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const command = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0");
      const environment = await readFile(`/proc/${pid}/environ`, "utf8").catch(() => "");
      const ours =
        environment.includes(`MAYFLY_HOME=${system.home.root}`) ||
        command.some((word) => word.includes(system.home.root));
      return ours && words.every((word) => command.some((each) => each.endsWith(word))) ? [Number(pid)] : [];
    }),
  );
  return found.flat();
}

/** Children, their children, and so on. */
async function descendantsOf(pids: readonly number[]): Promise<number[]> {
  const parents = new Map<number, number>();
  for (const pid of (await readdir("/proc")).filter((each) => /^\d+$/.test(each))) {
    const parent = /PPid:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, "utf8").catch(() => ""))?.[1];
    parents.set(Number(pid), Number(parent));
  }
  const isBelow = (pid: number): boolean => {
    const parent = parents.get(pid) ?? 0;
    return parent > 1 && (pids.includes(parent) || isBelow(parent));
  };
  return [...parents.keys()].filter(isBelow);
}

async function kill(...words: string[]): Promise<void> {
  const [pid] = await pidsOf(...words);
  if (pid === undefined) throw new Error(`no process with ${words.join(" ")}`);
  process.kill(pid, "SIGKILL");
}

/** What was asked while nobody listened is lost, as core NATS says: so ask again soon. */
const serves = () =>
  expect
    .poll(() => invoke(0, 1000).catch((error: Error) => error.message), { timeout: 20_000, interval: 100 })
    .toBe('"done"');

describe("after kill -9", () => {
  test("of the worker that runs it, a call fails with a named error, and the next one runs elsewhere", async () => {
    await serves();
    const running = invoke(15_000);
    const workers = async () =>
      JSON.parse((await system.mayfly("ls", "--workers", "--json")).stdout) as Array<{ zone: string; busyMiB: number }>;
    let zone: string | undefined;
    await expect
      .poll(async () => (zone = (await workers()).find(({ busyMiB }) => busyMiB > 0)?.zone), { timeout: 10_000 })
      .toBeDefined();
    await kill("worker", "--zone", zone ?? "");
    expect(await running).toMatch(/^ServiceException: worker \S+ was lost while it ran the function$/);
    await serves();
  });

  test("of a sandbox's process, only its call fails", async () => {
    await serves();
    const running = invoke(15_000);
    const neighbour = invoke(2000);
    const inside = async () => {
      for (const pid of await descendantsOf(await pidsOf("run", "worker"))) {
        const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
        if (command.startsWith("/var/lang/bin/node")) return pid;
      }
      return undefined;
    };
    let pid: number | undefined;
    await expect.poll(async () => (pid = await inside())).toBeDefined();
    process.kill(pid ?? 0, "SIGKILL");
    const answers = await Promise.all([running, neighbour]);
    expect(answers.filter((each) => each.includes("Runtime exited with error: signal: killed")).length).toBe(1);
    await serves();
  });

  test("of the plane, it serves again with what it had, and running calls are still answered", async () => {
    await serves();
    const running = invoke(3000);
    await nats.flush();
    await expect.poll(async () => (await pidsOf("run", "control-plane")).length).toBe(1);
    await kill("run", "control-plane");
    expect(await running).toBe('"done"');
    await serves();
  });

  test("of nats-server, it is started again and everybody comes back, with what was deployed", async () => {
    await serves();
    await kill("-c", "nats-server.conf");
    await serves();
    expect(JSON.parse((await system.mayfly("ls", "--json")).stdout)).toMatchObject([{ FunctionName: "waits" }]);
    await configure(nats, "waits", { Environment: { Variables: { MARK: "changed" } } });
    await expect.poll(() => invoke(0, 1000), { timeout: 15_000 }).toBe('"changed"');
  });
});
