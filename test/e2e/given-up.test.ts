/** A worker that was silent for so long that it was given up, and is heard again: what is on it is used again, or ended. */
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { WorkerLost } from "../../subjects/placement.ts";
import type { Transition } from "../../subjects/state.ts";
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
  const sandboxes = async () => {
    const [worker] = JSON.parse((await system.mayfly("ls", "--workers", "--json")).stdout);
    return worker && [worker.sandboxes, worker.busyMiB, worker.idleMiB];
  };

  const lines: string[] = [];
  platform.subscribe("mayfly.*.logs.waits.*", { callback: (_, line) => void lines.push(line.string()) });
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
  const [, free = ""] = /\/(\S+) /.exec(quick.headers?.get("Mayfly-Sandbox") ?? "") ?? [];
  await vi.waitUntil(async () => (await sandboxes())?.[0] === 2, { timeout: 10_000 });
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
  expect(again.string()).toBe('"done"');
  expect(again.headers?.get("Mayfly-Sandbox")).toContain(`/${free} `);
  expect(again.headers?.get("Mayfly-Start")).toBe("warm");
  await vi.waitUntil(() => dead.size === 1 && !dead.has(free), { timeout: 10_000 });
  await vi.waitUntil(() => lines.some((line) => line.includes("Error Type: Sandbox.Abandoned")), { timeout: 10_000 });
  await expect.poll(sandboxes, { timeout: 10_000 }).toEqual([1, 0, 128]);
}, 60_000);
