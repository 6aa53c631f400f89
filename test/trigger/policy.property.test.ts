import fc from "fast-check";
import { expect, test } from "vitest";
import {
  aged,
  backoffMs,
  failedItemsIn,
  type Group,
  mayAnswer,
  type Outcome,
  outcomeOfRefusal,
  refusedSource,
  verdictOn,
} from "../../actors/trigger/policy.ts";

const item = (at: number) => ({ id: `S:${at}`, storedAt: at });
const groups: fc.Arbitrary<Group<ReturnType<typeof item>>> = fc.record({
  records: fc.integer({ min: 1, max: 12 }).map((size) => Array.from({ length: size }, (_, at) => item(at))),
  attempts: fc.nat(5),
  setbacks: fc.nat(5),
});
const settings = fc.record({
  maxRetryAttempts: fc.integer({ min: -1, max: 5 }),
  bisects: fc.boolean(),
  inOrder: fc.boolean(),
});
const outcomes: fc.Arbitrary<Outcome> = fc.oneof(
  fc.constant({ kind: "error", statusCode: 200 } as const),
  fc.constant({ kind: "setback", why: "throttled" } as const),
  fc.constant({ kind: "ok", failedItems: "all" } as const),
  fc
    .uniqueArray(fc.integer({ min: 0, max: 11 }).map((at) => `S:${at}`))
    .map((failedItems) => ({ kind: "ok", failedItems }) as const),
);

test("after a try each record is done, run again or given up: none is lost, none is two of them", () => {
  fc.assert(
    fc.property(groups, outcomes, settings, (group, outcome, rules) => {
      const { done, again, failed } = verdictOn(group, outcome, rules);
      const all = [...done, ...again.flatMap((each) => each.records), ...failed.flatMap((each) => each.group.records)];
      expect(all.map(({ id }) => id).sort()).toEqual(group.records.map(({ id }) => id).sort());
    }),
  );
});

test("a platform's fault uses no attempt and gives nothing up", () => {
  fc.assert(
    fc.property(groups, settings, (group, rules) => {
      const { again, failed } = verdictOn(group, { kind: "setback", why: "" }, rules);
      expect(again).toEqual([{ ...group, setbacks: group.setbacks + 1 }]);
      expect(failed).toEqual([]);
    }),
  );
});

test("in order, nothing behind the first failed record counts as done", () => {
  const group = { records: [0, 1, 2, 3].map(item), attempts: 0, setbacks: 0 };
  const outcome = { kind: "ok", failedItems: ["S:3", "S:1"] } as const;
  const rules = { maxRetryAttempts: -1, bisects: false };
  expect(verdictOn(group, outcome, { ...rules, inOrder: true }).done.map(({ id }) => id)).toEqual(["S:0"]);
  expect(verdictOn(group, outcome, { ...rules, inOrder: false }).done.map(({ id }) => id)).toEqual(["S:0", "S:2"]);
});

test("tries end after the retries that are allowed, whatever is halved meanwhile", () => {
  const run = (group: Group<ReturnType<typeof item>>): number => {
    const { again } = verdictOn(
      group,
      { kind: "error", statusCode: 200 },
      { maxRetryAttempts: 2, bisects: true, inOrder: true },
    );
    return 1 + again.reduce((sum, each) => sum + run(each), 0);
  };
  // Four and two twos are halved; each of the four is tried three times.
  expect(run({ records: [0, 1, 2, 3].map(item), attempts: 0, setbacks: 0 })).toBe(1 + 2 + 4 * 3);
});

test("what a function reports is taken by its word only where it names what it was given", () => {
  const known = new Set(["a", "b"]);
  const report = (failures: unknown) => failedItemsIn(JSON.stringify({ batchItemFailures: failures }), known);
  expect(report([{ itemIdentifier: "b" }])).toEqual(["b"]);
  expect(report([])).toEqual([]);
  expect(report(null)).toEqual([]);
  expect(report([{ itemIdentifier: "c" }])).toBe("all");
  expect(report([{ itemIdentifier: "" }])).toBe("all");
  expect(report([{}])).toBe("all");
  expect(report("b")).toBe("all");
  expect(failedItemsIn("not json", known)).toBe("all");
  for (const none of ["", "null", "{}", '"done"']) expect(failedItemsIn(none, known)).toEqual([]);
});

test("a refusal that says something of the event counts, any other doesn't", () => {
  expect([400, 413].map((code) => outcomeOfRefusal(code, "").kind)).toEqual(["error", "error"]);
  expect([403, 404, 409, 429, 500, 507].map((code) => outcomeOfRefusal(code, "").kind)).toEqual(
    Array.from({ length: 6 }, () => "setback"),
  );
});

test("waits double from the first to the longest", () => {
  const waits = [0, 1, 2, 3, 40].map((attempts) => backoffMs({ attempts, setbacks: 0 }, 1000, 300_000));
  expect(waits).toEqual([0, 1000, 2000, 4000, 300_000]);
});

test("records grow old one by one", () => {
  const [old, young] = aged({ records: [0, 1000, 2000].map(item), attempts: 0, setbacks: 0 }, 1, 2500);
  expect([old.records.length, young.records.length]).toEqual([2, 1]);
  expect(aged({ records: [item(0)], attempts: 0, setbacks: 0 }, -1, 1e15)[0].records).toEqual([]);
});

test("nothing of the platform's is a source or a place to answer", () => {
  expect(refusedSource({ kind: "subject", subject: "mayfly.state.>", reply: false })).toMatch(/platform/);
  expect(refusedSource({ kind: "subject", subject: ">", reply: false })).toMatch(/platform/);
  expect(refusedSource({ kind: "bucket", bucket: "FUNCTIONS" })).toMatch(/platform/);
  expect(refusedSource({ kind: "stream", stream: "SCHEDULES" })).toMatch(/platform/);
  expect(refusedSource({ kind: "stream", stream: "ORDERS", subject: "o.>" })).toBeUndefined();
  expect(["mayfly.recount", "$JS.API.STREAM.DELETE.X", ">"].map(mayAnswer)).toEqual([false, false, false]);
  expect(["_INBOX.a.b", "_R_.x", "answers.here"].map(mayAnswer)).toEqual([true, true, true]);
});
