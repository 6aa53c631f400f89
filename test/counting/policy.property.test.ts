/** Whatever is said, in whatever order, late or twice: no grant goes over a limit. */
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  admit,
  emptyLedger,
  heldNow,
  inUse,
  type Ledger,
  release,
  room,
  runningNow,
  tick,
  workerLost,
} from "../../actors/counting/policy.ts";

const LIMIT = 12;
const fn = fc.constantFrom("a", "b", "c");
const application = fc
  .record({
    fn,
    frontendId: fc.constantFrom("fe1", "fe2"),
    version: fc.constantFrom("1", "2"),
    count: fc.integer({ min: 1, max: 8 }),
  })
  .map(({ version, ...rest }) => ({ ...rest, poolId: `${rest.fn}-${version}` }));
const workerId = fc.constantFrom("w1", "w2");
const reserved = fc.dictionary(fn, fc.integer({ min: 0, max: 4 }), { maxKeys: 3 });

const happening = fc.oneof(
  { weight: 4, arbitrary: fc.record({ what: fc.constant("admit" as const), application }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant("release" as const), application }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant("held" as const), application }) },
  {
    weight: 1,
    arbitrary: fc.record({
      what: fc.constant("running" as const),
      workerId,
      running: fc.array(application, { maxLength: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("lost" as const), workerId }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("limits" as const), reserved }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant("tick" as const) }) },
);
type Happening = typeof happening extends fc.Arbitrary<infer T> ? T : never;

function next(ledger: Ledger, it: Exclude<Happening, { what: "admit" }>): Ledger {
  switch (it.what) {
    case "release":
      return release(ledger, it.application);
    case "held":
      return heldNow(ledger, it.application);
    case "running":
      return runningNow(ledger, it.workerId, it.running);
    case "lost":
      return workerLost(ledger, it.workerId);
    case "limits":
      return { ...ledger, reserved: it.reserved };
    case "tick":
      return tick(ledger);
  }
}

test("a grant never takes a function over its reservation, the rest over the unreserved sum, nor anyone over the account", () => {
  fc.assert(
    fc.property(reserved, fc.array(happening, { maxLength: 60 }), (start, happenings) => {
      let ledger: Ledger = { ...emptyLedger(LIMIT, 2, 1000), reserved: start };
      for (const it of happenings) {
        if (it.what !== "admit") {
          ledger = next(ledger, it);
          continue;
        }
        const before = inUse(ledger, () => true);
        const mayHave = room(ledger, it.application.fn);
        const [after, granted] = admit(ledger, it.application);
        expect(granted).toBe(Math.min(it.application.count, mayHave));
        if (granted > 0) {
          const { reserved: limits } = after;
          const mine = limits[it.application.fn];
          if (mine !== undefined) expect(inUse(after, (each) => each === it.application.fn)).toBeLessThanOrEqual(mine);
          else {
            const unreserved = LIMIT - Object.values(limits).reduce((sum, each) => sum + each, 0);
            expect(inUse(after, (each) => limits[each] === undefined)).toBeLessThanOrEqual(unreserved);
          }
          expect(inUse(after, () => true)).toBeLessThanOrEqual(LIMIT);
          // It may be less: with its first token a front end vouches for what workers run for it.
          expect(inUse(after, () => true)).toBeLessThanOrEqual(before + granted);
        }
        ledger = after;
      }
    }),
    { numRuns: 500 },
  );
});

test("after a restart, what holders say adds up to what they held", () => {
  fc.assert(
    fc.property(fc.array(application, { maxLength: 20 }), (applications) => {
      let before = emptyLedger(LIMIT, 2, 1000);
      for (const each of applications) before = admit(before, each)[0];
      let after = emptyLedger(LIMIT, 2, 1000);
      for (const [key, { fn, frontendId, count }] of Object.entries(before.holdings)) {
        after = heldNow(after, { fn, frontendId, poolId: key.split("/")[1] ?? "", count });
      }
      expect(inUse(after, () => true)).toBe(inUse(before, () => true));
      expect(room(after, "a")).toBe(room(before, "a"));
    }),
  );
});
