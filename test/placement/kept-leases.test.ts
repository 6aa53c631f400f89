import { pino } from "pino";
import { expect, test, vi } from "vitest";
import { Component } from "../../actors/bus/component.ts";
import { systemClock } from "../../actors/bus/port.ts";
import { startPlacement } from "../../actors/placement/index.ts";
import { KeptLeases } from "../../actors/placement/kept-leases.ts";
import type { Lease } from "../../subjects/placement.ts";
import { SimulatedBus } from "../simulation/bus.ts";
import { memoryBucket } from "../simulation/memory-bucket.ts";

const failed = (error: unknown) => expect.unreachable(String(error));
const lease = (change: Partial<Lease> = {}): Lease => ({
  workerId: "w1",
  zone: "a",
  leasedAt: 1,
  endsAt: 2,
  ...change,
});

test("the next placement reads what was kept, and nothing else that is in the bucket", async () => {
  const bucket = memoryBucket({ "mapping-1": { holder: "t", mapping: "mapping-1" }, "tries-1": [] });
  const kept = new KeptLeases(bucket, failed);
  kept.keep(lease());
  kept.keep(lease({ workerId: "w2" }));
  kept.keep(lease({ silentSince: 3 }));
  kept.drop("w2");
  const next = () => new KeptLeases(bucket, failed).read();
  await expect.poll(next).toEqual([lease({ silentSince: 3 })]);
});

test("it writes over what it has read, and what is written one after another is stored so", async () => {
  const bucket = memoryBucket({ w1: lease({ silentSince: 3 }) });
  const kept = new KeptLeases(bucket, failed);
  await kept.read();
  kept.drop("w1");
  kept.keep(lease({ leasedAt: 4 }));
  await expect.poll(async () => (await bucket.get("w1"))?.value).toEqual(lease({ leasedAt: 4 }));
});

test("what another placement wrote meanwhile is not written over; the next write knows of it", async () => {
  const bucket = memoryBucket();
  const lost = vi.fn();
  const kept = new KeptLeases(bucket, lost);
  await kept.read();
  await bucket.put("w1", lease({ leasedAt: 5 }));
  kept.keep(lease());
  await expect.poll(() => lost.mock.calls.length).toBe(1);
  expect((await bucket.get("w1"))?.value).toEqual(lease({ leasedAt: 5 }));
  kept.keep(lease({ leasedAt: 6 }));
  await expect.poll(async () => (await bucket.get("w1"))?.value).toEqual(lease({ leasedAt: 6 }));
});

test("a placement remembers whom the one before gave up, and removes what has ended meanwhile", async () => {
  const now = Date.now();
  const bucket = memoryBucket({
    w1: lease({ endsAt: now + 60_000, silentSince: 3 }),
    w2: lease({ workerId: "w2", endsAt: now - 1, silentSince: 3 }),
    w3: lease({ workerId: "w3", endsAt: now + 60_000 }),
    "tries-1": [],
  });
  const bus = new SimulatedBus({ random: () => 0, delayMs: 1, twice: 0, lost: 0, mayFail: () => false });
  const component = new Component({
    name: "test-placement",
    id: "p1",
    version: "0.0.1",
    description: "",
    network: bus.line("p1"),
    clock: systemClock,
    log: pino({ level: "silent" }),
  });
  const workers = await startPlacement({ component, leases: bucket, beatMs: 1000, random: () => 0 });
  expect(workers.snapshots().map(([id, { value }]) => [id, value])).toEqual([["w1", { lost: "silent" }]]);
  await expect.poll(() => bucket.keys(">")).toEqual(["tries-1", "w1", "w3"]);
  await component.stop();
});
