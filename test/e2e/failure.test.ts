/** Whatever is killed, the system returns to serving by itself, and nobody is left without an answer. */
import { readdir, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import type { NatsConnection } from "nats";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { defaultHome } from "../../actors/sandbox/drivers/premises.ts";
import { readRunning } from "../../bin/running.ts";
import { DrainWorker } from "../../subjects/worker.ts";
import { noIsolation } from "../sandbox/drivers/hosted.ts";
import { configure, deploy } from "../support/functions.ts";
import { descendantsOf, kill, pidsOf } from "../support/processes.ts";
import { type RunningSystem, runBeside, startMayfly } from "../support/system.ts";
import { testUnless } from "../support/unless.ts";

let system: RunningSystem;
let nats: NatsConnection;

beforeAll(async () => {
  system = await startMayfly({ env: { MAYFLY_HEARTBEAT: "300" } });
  nats = await system.connect();
  const files = {
    "index.mjs":
      "export const handler = (event) => { if (event.title) process.title = event.title; return new Promise((resolve) => setTimeout(resolve, event.ms ?? 0, process.env.MARK ?? 'done')); };\n",
  };
  await deploy(await system.connect("platform"), { name: "waits", files, timeout: 20 });
});
afterAll(() => system?.[Symbol.asyncDispose]());

/** With `title`, that is what its process is called from then on. */
const invoke = async (ms = 0, timeout = 30_000, title?: string): Promise<string> => {
  const reply = await nats.request("mayfly.invoke.waits", JSON.stringify({ ms, title }), { timeout });
  return reply.headers?.get("Nats-Service-Error") || reply.string();
};

/** What was asked while nobody listened is lost, as core NATS says: so ask again soon. */
const serves = () =>
  expect
    .poll(() => invoke(0, 1000).catch((error: Error) => error.message), { timeout: 20_000, interval: 100 })
    .toBe('"done"');

const workers = async () =>
  JSON.parse((await system.mayfly("ls", "--workers", "--json")).stdout) as Array<{
    workerId: string;
    zone: string;
    isolation: string;
    busyMiB: number;
  }>;

test("a worker that has drained is followed by another in its zone; its neighbour in the same process goes on", async () => {
  await serves();
  const [before, platform] = [await workers(), await system.connect("platform")];
  const running = invoke(5000);
  let leaver: (typeof before)[number] | undefined;
  const findBusy = async () => (leaver = (await workers()).find(({ busyMiB }) => busyMiB > 0));
  await expect.poll(findBusy, { timeout: 10_000 }).toBeDefined();
  const stay = before.filter(({ workerId }) => workerId !== leaver?.workerId).map(({ workerId }) => workerId);
  platform.publish(DrainWorker.subject({ workerId: leaver?.workerId ?? "" }), '{"reason":"test"}');
  const idsIn = async (zone: string) =>
    (await workers()).filter((each) => each.zone === zone).map(({ workerId }) => workerId);
  const follower = async () => {
    const ids = await idsIn(leaver?.zone ?? "");
    return ids.length === 1 && ids[0] !== leaver?.workerId;
  };
  await expect.poll(follower, { timeout: 15_000 }).toBe(true);
  expect((await workers()).map(({ workerId }) => workerId)).toEqual(expect.arrayContaining(stay));
  expect(await running).toBe('"done"');
});

test("what a front end still holds of workers that were killed costs the next call nothing but time", async () => {
  // So slow a heartbeat that nobody has noticed by then.
  await using blind = await startMayfly({ env: { MAYFLY_HEARTBEAT: "3000" } });
  const [person, platform] = [await blind.connect(), await blind.connect("platform")];
  await deploy(platform, { name: "works", files: { "index.mjs": "export const handler = () => 'done';\n" } });
  const call = () => person.request("mayfly.invoke.works", "{}", { timeout: 30_000 });
  const [, sandbox] = /\/(\S+) /.exec((await call()).headers?.get("Mayfly-Sandbox") ?? "") ?? [];
  await kill(blind.home, "worker", "--zone");
  const inspected = () =>
    person.request(`mayfly.inspect.sandbox.${sandbox}`, "", { timeout: 100 }).then(
      () => "answers",
      (error: Error) => error.message,
    );
  await expect.poll(inspected, { interval: 5 }).toMatch(/no responders/);
  expect((await call()).string()).toBe('"done"');
});

describe("after kill -9", () => {
  test("of the workers of which one runs it, a call fails with a named error, and the next one runs elsewhere", async () => {
    await serves();
    const running = invoke(15_000);
    const busy = async () => (await workers()).some(({ busyMiB }) => busyMiB > 0);
    await expect.poll(busy, { timeout: 10_000 }).toBe(true);
    await using _ = runBeside(system, "worker");
    await expect.poll(async () => (await workers()).length, { timeout: 10_000 }).toBe(3);
    // One that is started by hand is as good as the others.
    expect(new Set((await workers()).map(({ isolation }) => isolation)).size).toBe(1);
    await kill(system.home, "worker", "--zone");
    expect(await running).toMatch(/^ServiceException: worker \S+ was lost while it ran the function$/);
    await serves();
  });

  test("of nats-server, whose port somebody else is then given for a moment, it comes back on that port", async () => {
    await serves();
    const { port } = new URL((await readRunning(system.home))?.url ?? "");
    const [server = 0] = await pidsOf(system.home, "-c", "nats-server.conf");
    const thief = createServer((socket) => socket.destroy());
    const take = () => void thief.listen(Number(port), "127.0.0.1");
    // The port is free only once the server is quite dead.
    thief.on("error", () => setImmediate(take));
    process.kill(system.pid, "SIGSTOP");
    try {
      process.kill(server, "SIGKILL");
      const taken = new Promise((resolve) => thief.once("listening", resolve));
      take();
      await taken;
    } finally {
      process.kill(system.pid, "SIGCONT");
    }
    await expect.poll(() => system.output(), { timeout: 20_000 }).toContain(`port ${port} is taken by another program`);
    thief.close();
    await serves();
  });

  test("of a sandbox's process, only its call fails", async () => {
    await serves();
    const running = invoke(15_000, 30_000, "to-be-killed");
    const neighbour = invoke(2000);
    const inside = async () => {
      for (const pid of await descendantsOf(await pidsOf(system.home, "run", "worker"))) {
        const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
        if (command.startsWith("to-be-killed")) return pid;
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
    await expect.poll(async () => (await pidsOf(system.home, "run", "control-plane")).length).toBe(1);
    await kill(system.home, "run", "control-plane");
    expect(await running).toBe('"done"');
    await serves();
  });

  test("of nats-server, it is started again and everybody comes back, with what was deployed", async () => {
    await serves();
    await kill(system.home, "-c", "nats-server.conf");
    await serves();
    expect(JSON.parse((await system.mayfly("ls", "--json")).stdout)).toMatchObject([{ FunctionName: "waits" }]);
    await configure(nats, "waits", { Environment: { Variables: { MARK: "changed" } } });
    await expect.poll(() => invoke(0, 1000), { timeout: 15_000 }).toBe('"changed"');
  });
});

testUnless(noIsolation)(
  "after somebody has removed what its workers keep on the host, it serves again",
  async () => {
    /** What runs already is well: a change asks for new sandboxes. */
    const servesAnew = async (mark: string) => {
      await configure(nats, "waits", { Environment: { Variables: { MARK: mark } } });
      await expect.poll(() => invoke(0, 5000).catch(String), { timeout: 25_000, interval: 100 }).toBe(`"${mark}"`);
    };
    await servesAnew("before");
    const home = process.geteuid?.() === 0 ? defaultHome() : system.home.sandboxes;
    const before = (await workers()).map(({ workerId }) => workerId);
    const pids = await pidsOf(system.home, "run", "worker");
    const folders = (await readdir(home)).filter((name) => pids.includes(Number(name.split("-")[2])));
    expect(folders).toHaveLength(before.length);
    for (const folder of folders) await rm(join(home, folder), { recursive: true });
    await servesAnew("after");
    expect((await workers()).some(({ workerId }) => !before.includes(workerId))).toBe(true);
  },
  60_000,
);
