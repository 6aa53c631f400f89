import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { backoffMs, beforehand, judge, type Outcome, type Rules, type Standing } from "../../actors/poller/policy.ts";
import { RULES } from "../support/machines.ts";

const nothing = new Uint8Array();
const ok: Outcome = { kind: "ok", payload: nothing, executedVersion: "1" };
const failed: Outcome = {
  kind: "functionError",
  payload: nothing,
  executedVersion: "1",
  errorType: "E",
  errorMessage: "no",
};
const refused = (code: number): Outcome => ({ kind: "refused", code, name: "No", message: "no" });
const passing = fc.constantFrom(409, 412, 429, 500, 502, 504, 507).map(refused);

const rules: fc.Arbitrary<Rules> = fc.record({
  retries: fc.integer({ min: 0, max: 2 }),
  maxAgeMs: fc.integer({ min: 60_000, max: 21_600_000 }),
  isClosed: fc.constant(false),
  retryDelaysMs: fc.array(fc.integer({ min: 1, max: 120_000 }), { minLength: 1, maxLength: 3 }),
  backoffMs: fc.record({ min: fc.integer({ min: 1, max: 1000 }), max: fc.integer({ min: 1000, max: 300_000 }) }),
});
const standing: fc.Arbitrary<Standing> = fc
  .record({
    attempt: fc.integer({ min: 1, max: 3 }),
    setbacks: fc.nat(1000),
    acceptedAt: fc.nat(1e6),
    ageMs: fc.nat(30_000_000),
  })
  .map(({ ageMs, ...each }) => ({ ...each, at: each.acceptedAt + ageMs }));

/** Lives an event to its end: every attempt ends as `outcomes` say, the last of them for ever. */
function live(outcomes: readonly Outcome[], r: Rules) {
  let now: Standing = { attempt: 1, setbacks: 0, acceptedAt: 0, at: 0 };
  for (let each = 0; ; each++) {
    const refusal = beforehand(now, r);
    if (refusal !== undefined) return { end: refusal, steps: each, at: now.at };
    const verdict = judge(outcomes[Math.min(each, outcomes.length - 1)] ?? ok, now, r);
    if (verdict.kind !== "retry") return { end: verdict, steps: each + 1, at: now.at };
    now = { ...now, ...verdict };
  }
}

describe("after any attempt", () => {
  test("another one lies in the future, and within the event's age", () => {
    fc.assert(
      fc.property(fc.oneof(passing, fc.constant(failed)), standing, rules, (outcome, now, r) => {
        const verdict = judge(outcome, now, r);
        if (verdict.kind !== "retry") return;
        expect(verdict.at).toBeGreaterThan(now.at);
        expect(verdict.at).toBeLessThan(now.acceptedAt + r.maxAgeMs);
      }),
    );
  });

  test("a throttle or fault uses up no attempt, an error of the function exactly one", () => {
    fc.assert(
      fc.property(passing, standing, rules, (outcome, now, r) => {
        const after = judge(outcome, now, r);
        if (after.kind === "retry") expect(after).toMatchObject({ attempt: now.attempt, setbacks: now.setbacks + 1 });
        else expect(after).toMatchObject({ kind: "die", reason: "EventAgeExceeded", invokes: now.attempt - 1 });
        const failure = judge(failed, now, r);
        if (failure.kind === "retry")
          expect(failure).toMatchObject({ attempt: now.attempt + 1, setbacks: now.setbacks });
      }),
    );
  });
});

describe("an event", () => {
  test("ends, whatever happens to it", () => {
    const any = fc.oneof(passing, fc.constantFrom(ok, failed, refused(404), refused(400)));
    fc.assert(
      fc.property(fc.array(any, { minLength: 1, maxLength: 8 }), rules, (outcomes, r) => {
        expect(["succeed", "die"]).toContain(live(outcomes, r).end.kind);
      }),
    );
  });

  test("whose function always fails is run once more than it has retries", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 }), (retries) => {
        expect(live([failed], { ...RULES, retries })).toMatchObject({
          steps: retries + 1,
          end: { kind: "die", reason: "RetriesExhausted", invokes: retries + 1 },
        });
      }),
    );
  });

  test("is tried again after one minute, then after two: Lambda's own waits", () => {
    expect(live([failed], RULES).at).toBe(180_000);
  });

  test("whose next attempt would come too late is given up now", () => {
    const end = live([failed], { ...RULES, maxAgeMs: 60_000 });
    expect(end).toMatchObject({ at: 0, end: { kind: "die", reason: "EventAgeExceeded", invokes: 1 } });
  });

  test("of a closed function isn't begun", () => {
    const end = beforehand({ attempt: 1, setbacks: 0, acceptedAt: 0, at: 0 }, { ...RULES, isClosed: true });
    expect(end).toEqual({ kind: "die", reason: "ZeroReservedConcurrency", invokes: 0 });
  });
});

test("back-off doubles from the first wait to the last and stays there", () => {
  expect([0, 1, 2, 8, 9, 1000].map((setbacks) => backoffMs(setbacks, RULES.backoffMs))).toEqual([
    1000, 2000, 4000, 256_000, 300_000, 300_000,
  ]);
});
