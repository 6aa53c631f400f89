/** Whatever happens to a pool: one holder for each sandbox, no start that nobody needs, nobody kept waiting in front of an idle one. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Book, emptyBook } from "../../actors/worker-manager/book.ts";
import type { Decision, PoolEvent } from "../../actors/worker-manager/events.ts";
import { decide } from "../../actors/worker-manager/policy.ts";
import { refusal } from "../../subjects/errors.ts";
import { POOL_LIMITS, spec } from "../support/machines.ts";

const frontendId = fc.constantFrom("fe1", "fe2", "fe3");
const workerId = fc.constantFrom("w1", "w2");
/** Ids the pool gives itself, and some that only workers know of. */
const sandboxId = fc.constantFrom("e-1", "e-2", "e-3", "e-4", "e-5", "old-1", "old-2");
const no = refusal("NoRoom", "no");

const event: fc.Arbitrary<PoolEvent> = fc.oneof(
  fc.record(
    {
      type: fc.constant("pool.want" as const),
      frontendId,
      count: fc.nat(5),
      ahead: fc.constant(true as const),
      spec: fc.constant(spec()),
    },
    { requiredKeys: ["type", "frontendId", "count", "spec"] },
  ),
  fc.record({ type: fc.constant("pool.return" as const), frontendId, sandboxId, alive: fc.boolean() }),
  fc.record({ type: fc.constant("frontend.held" as const), frontendId }),
  fc.record({ type: fc.constant("sandbox.placed" as const), sandboxId, workerId }),
  fc.record({ type: fc.constant("sandbox.notPlaced" as const), sandboxId, refusal: fc.constant(no) }),
  fc.record({ type: fc.constant("sandbox.created" as const), sandboxId }),
  fc.record({ type: fc.constant("sandbox.notCreated" as const), sandboxId, refusal: fc.constant(no) }),
  fc.record({
    type: fc.constant("sandbox.reported" as const),
    sandboxId,
    workerId,
    state: fc.constantFrom("idle" as const, "failed" as const, "dead" as const),
    grantedTo: fc.option(frontendId, { nil: undefined }),
    functionError: fc.constantFrom(undefined, "{}"),
    hostFault: fc.constantFrom(undefined, "ENOSPC"),
  }),
  fc.record({ type: fc.constant("worker.lost" as const), workerId }),
  fc.record({
    type: fc.constant("worker.hosted" as const),
    workerId,
    sandboxes: fc.array(
      fc.record({ sandboxId, state: fc.constantFrom("init" as const, "idle" as const, "busy" as const) }),
      { maxLength: 3 },
    ),
  }),
  fc.constant<PoolEvent>({ type: "pool.tick" }),
);

const wanted = ({ wants }: Book): number => [...wants.values()].reduce((sum, each) => sum + each, 0);
const count = ({ slots }: Book, ...standings: string[]): number =>
  [...slots.values()].filter(({ at }) => standings.includes(at)).length;

/** Nobody knows of a sandbox before the pool itself gave it its id. */
const mayHappen = ({ started }: Book, event: PoolEvent): boolean =>
  ("sandboxes" in event ? event.sandboxes : [event]).every(
    (each) => !("sandboxId" in each) || each.sandboxId.startsWith("old") || Number(each.sandboxId.slice(2)) <= started,
  );

function eachStep(check: (before: Book, event: PoolEvent, after: Book, decisions: readonly Decision[]) => void): void {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      let book = emptyBook("p", "e", POOL_LIMITS);
      for (const each of events) {
        if (!mayHappen(book, each)) continue;
        const [after, decisions] = decide(book, each);
        check(book, each, after, decisions);
        book = after;
      }
    }),
    { numRuns: 500 },
  );
}

test("a sandbox is granted only when it is idle, and is its holder's from then on", () => {
  eachStep((before, event, after, decisions) => {
    const grants = decisions.filter((each) => each.type === "grant");
    expect(new Set(grants.map(({ sandboxId }) => sandboxId)).size).toBe(grants.length);
    for (const { sandboxId, frontendId, workerId } of grants) {
      const was = before.slots.get(sandboxId);
      const isGivenBack = event.type === "pool.return" || event.type === "pool.tick";
      if (was?.at === "held") expect(isGivenBack).toBe(true);
      expect(after.slots.get(sandboxId)).toEqual({ at: "held", workerId, frontendId });
    }
  });
});

test("nothing is started beyond what is wanted, nor more at a time than may be", () => {
  eachStep((_, event, after, decisions) => {
    if (decisions.some(({ type }) => type === "create")) {
      expect(count(after, "starting")).toBeLessThanOrEqual(Math.min(wanted(after), POOL_LIMITS.starting));
    }
    if (!decisions.some(({ type }) => type === "place")) return;
    const aheadOf = event.type === "pool.want" && event.ahead ? 1 : 0;
    expect(count(after, "placing", "starting")).toBeLessThanOrEqual(wanted(after) + aheadOf);
    expect(count(after, "placing", "starting")).toBeLessThanOrEqual(POOL_LIMITS.starting);
  });
});

test("what there is room for is started as soon as it is wanted", () => {
  eachStep((_, __, after) => {
    if (count(after, "placed") === 0) return;
    expect(count(after, "starting")).toBeGreaterThanOrEqual(Math.min(wanted(after), POOL_LIMITS.starting));
  });
});

test("what its worker has granted is its holder's, and nobody else's", () => {
  eachStep((_, event, after, decisions) => {
    if (event.type !== "sandbox.reported" || event.state !== "idle" || event.grantedTo === undefined) return;
    const { sandboxId, workerId, grantedTo: frontendId } = event;
    expect(after.slots.get(sandboxId)).toEqual({ at: "held", workerId, frontendId });
    expect(decisions.some((each) => each.type === "grant" && each.sandboxId === sandboxId)).toBe(false);
  });
});

test("nobody waits while a sandbox is idle", () => {
  eachStep((_, __, after) => {
    if (wanted(after) > 0) expect(count(after, "idle")).toBe(0);
  });
});

test("whoever waits has something starting for it, or the next attempt is at the next tick", () => {
  eachStep((_, __, after) => {
    if (wanted(after) > 0 && !after.resting) expect(count(after, "placing", "starting")).toBeGreaterThan(0);
  });
});

test("a front end is served no more often than it wanted", () => {
  eachStep((before, event, after, decisions) => {
    for (const [frontendId, had] of before.wants) {
      const said = event.type === "pool.want" && event.frontendId === frontendId ? event.count : had;
      const served = decisions.filter((each) => "frontendId" in each && each.frontendId === frontendId).length;
      expect(served).toBeLessThanOrEqual(said);
      expect(after.wants.get(frontendId) ?? 0).toBeLessThanOrEqual(said - served);
    }
  });
});
