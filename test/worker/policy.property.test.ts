import fc from "fast-check";
import { expect, test } from "vitest";
import { makeRoom } from "../../actors/worker/policy.ts";

const sandboxes = fc.array(
  fc.record({ memoryMiB: fc.integer({ min: 1, max: 512 }), lastUsedUs: fc.nat(1000), isIdle: fc.boolean() }),
  { maxLength: 12 },
);
const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);

test("what goes makes room, is idle, is the least recently used, and is no more than needed", () => {
  fc.assert(
    fc.property(
      sandboxes,
      fc.integer({ min: 0, max: 4096 }),
      fc.integer({ min: 1, max: 1024 }),
      (all, capacityMiB, needMiB) => {
        const named = all.map((each, at) => ({ ...each, sandboxId: `s${at}` }));
        const hosted = Object.fromEntries(named.map(({ sandboxId, memoryMiB }) => [sandboxId, memoryMiB]));
        const idle = named.filter(({ isIdle }) => isIdle);
        const freeMiB = capacityMiB - sum(Object.values(hosted));
        const evicted = makeRoom(capacityMiB, hosted, needMiB, idle);
        if (evicted === undefined) {
          expect(freeMiB + sum(idle.map(({ memoryMiB }) => memoryMiB))).toBeLessThan(needMiB);
          return;
        }
        const gone = evicted.map((id) => idle.find(({ sandboxId }) => sandboxId === id)!);
        const freed = gone.map(({ memoryMiB }) => memoryMiB);
        expect(freeMiB + sum(freed)).toBeGreaterThanOrEqual(needMiB);
        if (gone.length > 0) expect(freeMiB + sum(freed.slice(0, -1))).toBeLessThan(needMiB);
        const kept = idle.filter(({ sandboxId }) => !evicted.includes(sandboxId));
        for (const stays of kept)
          for (const goes of gone) expect(goes.lastUsedUs).toBeLessThanOrEqual(stays.lastUsedUs);
      },
    ),
  );
});
