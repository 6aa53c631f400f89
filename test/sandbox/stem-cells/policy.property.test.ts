/** Whatever was asked for and when: never too many, never for nothing, and enough for what came at once before. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Demand, remembered, type StemLimits, targets } from "../../../actors/sandbox/stem-cells/policy.ts";

const NOW = 100_000;

const limits: fc.Arbitrary<StemLimits> = fc.record({
  perKind: fc.nat(6),
  total: fc.nat(12),
  burstMs: fc.integer({ min: 1, max: 2000 }),
  memoryMs: fc.integer({ min: 1, max: 60_000 }),
});
const demand: fc.Arbitrary<Demand> = fc.record({
  askedAt: fc.array(fc.integer({ min: 0, max: NOW }), { maxLength: 30 }).map((asks) => asks.sort((a, b) => a - b)),
  atLeast: fc.nat(3),
});
const kinds = fc.array(demand, { maxLength: 6 });

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);

test("no kind gets more than one may have, and all together no more than all may have", () => {
  fc.assert(
    fc.property(kinds, limits, (asked, given) => {
      const aims = targets(asked, NOW, given);
      expect(aims).toHaveLength(asked.length);
      for (const aim of aims) expect(aim).toBeLessThanOrEqual(given.perKind);
      expect(sum(aims)).toBeLessThanOrEqual(given.total);
    }),
  );
});

test("what nobody has asked for lately is not kept, but for what was told to be", () => {
  fc.assert(
    fc.property(kinds, limits, (asked, given) => {
      const roomy = { ...given, total: 1000 };
      targets(asked, NOW, roomy).forEach((aim, index) => {
        const { askedAt = [], atLeast = 0 } = asked[index] ?? {};
        if (remembered(askedAt, NOW, given).length === 0) expect(aim).toBe(Math.min(atLeast, given.perKind));
        else expect(aim).toBeGreaterThanOrEqual(Math.min(1, given.perKind));
      });
    }),
  );
});

test("what came at once would find as many ready, if there is room", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10 }), fc.integer({ min: 1, max: 5 }), limits, (burst, apartMs, given) => {
      const quick = { ...given, total: 1000, burstMs: 100, memoryMs: 60_000 };
      const askedAt = Array.from({ length: burst }, (_, index) => NOW - 1000 + index * apartMs);
      expect(targets([{ askedAt, atLeast: 0 }], NOW, quick)).toEqual([Math.min(burst, given.perKind)]);
    }),
  );
});

test("asking more never brings less", () => {
  fc.assert(
    fc.property(demand, limits, (one, given) => {
      const [before = 0] = targets([one], NOW, given);
      const [after = 0] = targets([{ ...one, askedAt: [...one.askedAt, NOW] }], NOW, given);
      expect(after).toBeGreaterThanOrEqual(before);
    }),
  );
});

test("where not all can have what they want, each gets one before any gets another", () => {
  fc.assert(
    fc.property(kinds, limits, (asked, given) => {
      const aims = targets(asked, NOW, given);
      const wanting = targets(asked, NOW, { ...given, total: 1000 });
      const short = aims.flatMap((aim, index) => (aim < (wanting[index] ?? 0) ? [aim] : []));
      for (const aim of aims) for (const less of short) expect(aim - less).toBeLessThanOrEqual(1);
    }),
  );
});
