import { describe, expect, test } from "vitest";
import type { CountingEvent } from "../../actors/counting/machine.ts";
import { givenCounting, TICK_MS, TIMING } from "../support/machines.ts";

const of = (fn: string, count: number, frontendId = "fe1") => ({ fn, frontendId, poolId: `pool-${fn}`, count });
const admit = (fn: string, count: number, replyTo = "asker", frontendId = "fe1"): CountingEvent => ({
  type: "counting.admit",
  ...of(fn, count, frontendId),
  replyTo,
});
const held = (fn: string, count: number, frontendId = "fe1"): CountingEvent => ({
  type: "counting.held",
  ...of(fn, count, frontendId),
});
const release = (fn: string, count: number): CountingEvent => ({ type: "counting.release", ...of(fn, count) });
const runs = (workerId: string, fn: string, count: number, frontendId = "fe1"): CountingEvent => ({
  type: "worker.running",
  workerId,
  running: [{ fn, frontendId, count }],
});
const granted = (count: number, to = "asker") => ({ type: "reply", to, body: { granted: count } });
const throttled = (count: number, reason: string) =>
  expect.objectContaining({ body: { granted: count, refused: expect.objectContaining({ reason }) } });

const open = (change: Parameters<typeof givenCounting>[0] = {}) => givenCounting(change).after(TIMING.rebuildMs);

test("a function may have a name that every object knows", () => {
  const counting = open({ limit: 2 });
  for (const fn of ["constructor", "__proto__"]) expect(counting.when(admit(fn, 1)).said).toEqual([granted(1)]);
  counting.when(admit("hello", 1)).after(TIMING.recallMs);
  expect(counting.said).toContainEqual(throttled(0, "ConcurrentInvocationLimitExceeded"));
});

describe("after a start", () => {
  test("everybody is asked what they hold, and whoever asks meanwhile waits", () => {
    const counting = givenCounting();
    expect(counting.said).toEqual([{ type: "recount" }]);
    expect(counting.when(admit("hello", 1)).said).toEqual([]);
    expect(counting.after(TIMING.rebuildMs).said).toEqual([granted(1)]);
  });

  test("what front ends hold is in use again", () => {
    const counting = givenCounting({ limit: 10 }).when(held("hello", 8)).after(TIMING.rebuildMs);
    counting.when(admit("hello", 3)).after(TIMING.recallMs);
    expect(counting.said).toContainEqual(throttled(2, "ConcurrentInvocationLimitExceeded"));
  });

  test("what a worker runs for a front end that is gone is in use too", () => {
    const counting = givenCounting({ limit: 2 })
      .when(runs("w1", "hello", 2, "dead-fe"))
      .after(TIMING.rebuildMs);
    expect(counting.when(admit("hello", 1)).after(TIMING.recallMs).said).toContainEqual(
      throttled(0, "ConcurrentInvocationLimitExceeded"),
    );
  });
});

describe("when there is no room", () => {
  test("idle tokens are called back before anyone is throttled", () => {
    const counting = open({ limit: 1 })
      .when(admit("a", 1))
      .when(admit("b", 1, "second", "fe2"));
    expect(counting.said).toEqual([{ type: "recall", acct: "000000000000", fn: undefined }]);
    expect(counting.when(release("a", 1)).said).toEqual([granted(1, "second")]);
  });

  test("a reserved function calls back only its own tokens, and its throttle says so", () => {
    const counting = open({ limit: 10, reserved: { a: 1 } })
      .when(admit("a", 1))
      .when(admit("a", 1, "second"));
    expect(counting.said).toEqual([{ type: "recall", acct: "000000000000", fn: "a" }]);
    expect(counting.after(TIMING.recallMs).said).toContainEqual(
      throttled(0, "ReservedFunctionConcurrentInvocationLimitExceeded"),
    );
  });

  test("a reservation of nothing throttles every invocation", () => {
    const counting = open({ limit: 10, reserved: { a: 0 } }).when(admit("a", 1));
    expect(counting.after(TIMING.recallMs).said).toContainEqual(
      throttled(0, "ReservedFunctionConcurrentInvocationLimitExceeded"),
    );
  });

  test("who comes while tokens are being called back gets a call of its own", () => {
    const counting = open({ limit: 2, reserved: { a: 1 } }).when(admit("a", 1), admit("b", 1), admit("a", 1, "x"));
    counting.after(TIMING.recallMs - 1).when(admit("b", 1, "y"));
    expect(counting.after(1).said).toEqual([
      expect.objectContaining({ type: "reply", to: "x" }),
      { type: "recall", acct: "000000000000", fn: undefined },
    ]);
    expect(counting.when(release("b", 1)).said).toEqual([granted(1, "y")]);
  });
});

describe("when somebody is gone", () => {
  test("the tokens of a silent front end are taken back", () => {
    const counting = open({ limit: 1 }).when(admit("a", 1));
    for (let tick = 0; tick <= TIMING.silentTicks; tick++) counting.after(TICK_MS);
    expect(counting.when(admit("a", 1, "second", "fe2")).said).toEqual([granted(1, "second")]);
  });

  test("but what it left running on a worker stays in use until it is done", () => {
    const counting = open({ limit: 1 }).when(admit("a", 1), runs("w1", "a", 1));
    for (let tick = 0; tick <= TIMING.silentTicks; tick++) counting.after(TICK_MS);
    expect(counting.when(admit("a", 1, "x", "fe2")).after(TIMING.recallMs).said).toContainEqual(
      throttled(0, "ConcurrentInvocationLimitExceeded"),
    );
    counting.when({ type: "worker.running", workerId: "w1", running: [] });
    expect(counting.when(admit("a", 1, "y", "fe2")).said).toEqual([granted(1, "y")]);
  });

  test("and what a lost worker ran is not in use any more", () => {
    const counting = open({ limit: 1 }).when(runs("w1", "a", 1, "dead-fe"), { type: "worker.lost", workerId: "w1" });
    expect(counting.when(admit("a", 1)).said).toEqual([granted(1)]);
  });
});

test("tokens whose answer was lost come back once their holder has said for a while that it has fewer", () => {
  const counting = open({ limit: 2 }).when(admit("a", 2));
  for (let tick = 0; tick <= TIMING.silentTicks + 1; tick++) counting.when(held("a", 1)).after(TICK_MS);
  expect(counting.when(admit("a", 1, "again")).said).toEqual([granted(1, "again")]);
});

test("a token on its way isn't lost by a word that was said before it came", () => {
  const counting = open({ limit: 2 }).when(admit("a", 2), held("a", 0));
  counting.after(TICK_MS).when(held("a", 2)).after(TICK_MS);
  expect(counting.when(admit("a", 1, "x")).after(TIMING.recallMs).said).toContainEqual(
    throttled(0, "ConcurrentInvocationLimitExceeded"),
  );
});

test("when a limit is lowered below what is in use, nothing new is admitted until enough has come back", () => {
  const counting = open({ limit: 10 }).when(admit("a", 8), admit("b", 2));
  counting.when({ type: "limits.changed", reserved: { a: 4 } });
  expect(counting.when(admit("b", 1, "x")).after(TIMING.recallMs).said).toContainEqual(
    throttled(0, "ConcurrentInvocationLimitExceeded"),
  );
  counting.when(release("a", 4));
  expect(counting.when(admit("b", 4, "y")).said).toEqual([granted(4, "y")]);
  expect(counting.when(admit("a", 1, "z")).after(TIMING.recallMs).said).toContainEqual(
    throttled(0, "ReservedFunctionConcurrentInvocationLimitExceeded"),
  );
});
