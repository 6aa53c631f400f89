/** A worker that was silent for so long that it was given up, and is heard again: what is on it is used again, or ended. */
import type { Msg, NatsConnection } from "nats";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { ERROR, ERROR_CODE, FUNCTION_ERROR } from "../../subjects/headers.ts";
import { Log } from "../../subjects/logs.ts";
import { Lease, WorkerLost } from "../../subjects/placement.ts";
import type { Transition } from "../../subjects/state.ts";
import { LEASES_BUCKET } from "../../subjects/streams.ts";
import { DEFAULT_ACCOUNT } from "../../subjects/tokens.ts";
import { GivenUp, Hosted } from "../../subjects/worker.ts";
import { api, deploy } from "../support/functions.ts";
import { kill, pidsOf } from "../support/processes.ts";
import { type RunningSystem, startMayfly } from "../support/system.ts";

let system: RunningSystem;
let person: NatsConnection;
let platform: NatsConnection;

/** Sandboxes in which a call was given up. */
const abandoned = new Set<string>();
/** Those that its worker said are idle, the last time. */
let idle = new Set<string>();
const dead = new Set<string>();
const lost = new Set<string>();
/** How often the event ran, and how it ended. */
let runs = 0;
let end = "";
/** Workers that are kept as given up. */
const kept = new Set<string>();

beforeAll(async () => {
  system = await startMayfly({ env: { MAYFLY_HEARTBEAT: "300", MAYFLY_ZONES: "a", MAYFLY_ASYNC_BACKOFF_MIN: "300" } });
  [person, platform] = [await system.connect(), await system.connect("platform")];
  const files = {
    "index.mjs": `export const handler = ({ ms = 0, id }) => {
      if (id) console.log("runs " + id);
      return new Promise((resolve) => setTimeout(resolve, ms, "done"));
    };
`,
  };
  await deploy(platform, { name: "waits", files, timeout: 60 });
  const hear = (subject: string, heard: (message: Msg) => void) =>
    platform.subscribe(subject, { callback: (_, message) => heard(message) });
  hear(Log.subject({ acct: DEFAULT_ACCOUNT, fn: "waits" }), (message) => {
    if (message.string().includes("runs an event")) runs += 1;
    if (message.string().includes("Error Type: Sandbox.Abandoned"))
      abandoned.add(Log.address(message.subject).sandboxId);
  });
  hear(WorkerLost.subject(), (message) => lost.add(WorkerLost.body.parse(message.json()).workerId));
  hear(Hosted.subject(), (message) => {
    const { sandboxes } = Hosted.body.parse(message.json());
    idle = new Set(sandboxes.flatMap(({ sandboxId, state }) => (state === "idle" ? [sandboxId] : [])));
  });
  hear("mayfly.state.sandbox.*", (message) => {
    const { id, to } = message.json<Transition>();
    if (to === "dead") dead.add(id);
  });
  hear("mayfly.state.event.*", (message) => {
    const { to } = message.json<Transition>();
    if (to === "succeeded" || to === "dead") end = to;
  });
  hear(`$KV.${LEASES_BUCKET}.*`, (message) => {
    const lease = message.data.length > 0 ? Lease.safeParse(message.json()) : undefined;
    const workerId = message.subject.split(".")[2] ?? "";
    if (lease?.data?.silentSince === undefined) kept.delete(workerId);
    else kept.add(workerId);
  });
  await platform.flush();
});
beforeEach(() => {
  for (const each of [abandoned, idle, dead, lost]) each.clear();
});
afterAll(() => system?.[Symbol.asyncDispose]());

const call = (ms: number) => person.request("mayfly.invoke.waits", JSON.stringify({ ms }), { timeout: 60_000 });
const sandboxOf = (reply: Msg) => /\/(\S+) /.exec(reply.headers?.get("Mayfly-Sandbox") ?? "")?.[1] ?? "";
const soon = { timeout: 15_000 };
const busyMiB = async () => JSON.parse((await system.mayfly("ls", "--workers", "--json")).stdout)[0]?.busyMiB;

/** Stops the worker in the middle of a call until it is given up and `then` is done. */
async function fallSilent(then: () => Promise<void>): Promise<void> {
  const long = call(50_000);
  await vi.waitUntil(async () => (await busyMiB()) === 128, soon);
  const [worker = 0] = await pidsOf(system.home, "run", "worker");
  process.kill(worker, "SIGSTOP");
  try {
    await vi.waitUntil(() => lost.size > 0, soon);
    expect((await long).headers?.get("Nats-Service-Error")).toMatch(/^ServiceException: worker \S+ was lost/);
    await then();
  } finally {
    process.kill(worker, "SIGCONT");
  }
}

test("its idle sandboxes are used again, what ran on it is ended, and its memory is told as it is", async () => {
  const two = (await Promise.all([call(500), call(500)])).map(sandboxOf);
  await fallSilent(async () => {});
  await vi.waitUntil(() => two.some((each) => idle.has(each)), soon);
  const again = await call(0);
  expect([again.string(), again.headers?.get("Mayfly-Start")]).toEqual(['"done"', "warm"]);
  expect([...idle]).toContain(sandboxOf(again));
  await vi.waitUntil(() => abandoned.size === 1, soon);
  const [ended = ""] = abandoned;
  await vi.waitUntil(() => dead.has(ended), soon);
  expect([...dead]).toEqual([ended]);
  await expect.poll(busyMiB, soon).toBe(0);
}, 60_000);

test("it is told so also by a plane that was started since", async () => {
  await fallSilent(async () => {
    const [workerId = ""] = lost;
    await vi.waitUntil(() => kept.has(workerId), soon);
    await kill(system.home, "run", "control-plane");
    const known = async () => {
      const request = platform.request(`mayfly.inspect.lease.${workerId}`, "", { timeout: 1000 });
      return (await request.catch(() => undefined))?.json<{ state: unknown }>().state;
    };
    await expect.poll(known, { timeout: 20_000 }).toEqual({ lost: "silent" });
  });
  await vi.waitUntil(() => abandoned.size === 1, soon);
  await expect.poll(busyMiB, soon).toBe(0);
  expect((await call(0)).string()).toBe('"done"');
  expect([...kept]).toEqual([]);
}, 60_000);

test("what a front end had it run that hadn't heard of the loss is a fault of the platform, and an event runs again", async () => {
  // A single error of the function's would be the end of the event.
  await api(platform, "PutFunctionEventInvokeConfig", { FunctionName: "waits", MaximumRetryAttempts: 0 });
  await person.request("mayfly.async.waits", JSON.stringify({ ms: 5000, id: "an event" }));
  const direct = call(50_000);
  await vi.waitUntil(async () => runs === 1 && (await busyMiB()) === 256, soon);
  const [{ workerId = "" }] = JSON.parse((await system.mayfly("ls", "--workers", "--json")).stdout);
  await platform.request(GivenUp.subject({ workerId }), JSON.stringify({ silentSince: Date.now() }));
  const { headers } = await direct;
  expect(headers?.get(ERROR)).toBe(`ServiceException: worker ${workerId} was lost while it ran the function`);
  expect([headers?.get(ERROR_CODE), headers?.has(FUNCTION_ERROR)]).toEqual(["500", false]);
  await vi.waitUntil(() => end !== "", { timeout: 20_000 });
  expect([end, runs]).toEqual(["succeeded", 2]);
}, 60_000);
