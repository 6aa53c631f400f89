import { expect, test, vi } from "vitest";
import { KeptLeases } from "../../actors/placement/kept-leases.ts";
import type { Lease } from "../../subjects/placement.ts";
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
