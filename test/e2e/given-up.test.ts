/** A worker that was silent for so long that it was given up, and is heard again: what is on it is used again, or ended. */
import type { Msg } from "nats";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { Log } from "../../subjects/logs.ts";
import { WorkerLost } from "../../subjects/placement.ts";
import type { Transition } from "../../subjects/state.ts";
import { DEFAULT_ACCOUNT } from "../../subjects/tokens.ts";
import { Hosted } from "../../subjects/worker.ts";
import { deploy } from "../support/functions.ts";
import { pidsOf } from "../support/processes.ts";
import { type RunningSystem, startMayfly } from "../support/system.ts";

let system: RunningSystem;

beforeAll(async () => {
  system = await startMayfly({ env: { MAYFLY_HEARTBEAT: "300", MAYFLY_ZONES: "a" } });
});
afterAll(() => system?.[Symbol.asyncDispose]());

test("its idle sandboxes are used again, what ran on it is ended, and its memory is told as it is", async () => {
  const [person, platform] = [await system.connect(), await system.connect("platform")];
  const files = {
    "index.mjs": "export const handler = ({ ms = 0 }) => new Promise((resolve) => setTimeout(resolve, ms, 'done'));\n",
  };
  await deploy(platform, { name: "waits", files, timeout: 60 });
  const call = (ms: number) => person.request("mayfly.invoke.waits", JSON.stringify({ ms }), { timeout: 60_000 });
  const busyMiB = async () => JSON.parse((await system.mayfly("ls", "--workers", "--json")).stdout)[0]?.busyMiB;

  /** Sandboxes in which a call was given up. */
  const abandoned = new Set<string>();
  platform.subscribe(Log.subject({ acct: DEFAULT_ACCOUNT, fn: "waits" }), {
    callback: (_, message) => {
      if (message.string().includes("Error Type: Sandbox.Abandoned"))
        abandoned.add(Log.address(message.subject).sandboxId);
    },
  });
  let [lost, idle] = [false, new Set<string>()];
  platform.subscribe(WorkerLost.subject(), {
    callback: () => {
      lost = true;
    },
  });
  platform.subscribe(Hosted.subject(), {
    callback: (_, message) => {
      const { sandboxes } = Hosted.body.parse(message.json());
      idle = new Set(sandboxes.flatMap(({ sandboxId, state }) => (state === "idle" ? [sandboxId] : [])));
    },
  });
  const dead = new Set<string>();
  platform.subscribe("mayfly.state.sandbox.*", {
    callback: (_, message) => {
      const { id, to } = message.json<Transition>();
      if (to === "dead") dead.add(id);
    },
  });
  await platform.flush();

  const [long, quick] = [call(50_000), await call(0)];
  const sandboxOf = (reply: Msg) => /\/(\S+) /.exec(reply.headers?.get("Mayfly-Sandbox") ?? "")?.[1] ?? "";
  const free = sandboxOf(quick);
  await vi.waitUntil(async () => (await busyMiB()) === 128, { timeout: 10_000 });
  const [worker = 0] = await pidsOf(system.home, "run", "worker");
  process.kill(worker, "SIGSTOP");
  try {
    await vi.waitUntil(() => lost, { timeout: 10_000 });
    expect((await long).headers?.get("Nats-Service-Error")).toMatch(/^ServiceException: worker \S+ was lost/);
  } finally {
    process.kill(worker, "SIGCONT");
  }

  await vi.waitUntil(() => idle.has(free), { timeout: 10_000 });
  const again = await call(0);
  expect([again.string(), again.headers?.get("Mayfly-Start")]).toEqual(['"done"', "warm"]);
  expect([...idle]).toContain(sandboxOf(again));
  await vi.waitUntil(() => abandoned.size === 1, { timeout: 10_000 });
  const [ended = ""] = abandoned;
  await vi.waitUntil(() => dead.has(ended), { timeout: 10_000 });
  expect([ended === free, dead.has(free)]).toEqual([false, false]);
  await expect.poll(busyMiB, { timeout: 10_000 }).toBe(0);
}, 60_000);
