import { describe, expect, test } from "vitest";
import type { PoolEvent } from "../../actors/worker-manager/events.ts";
import { refusal } from "../../subjects/errors.ts";
import { poolId } from "../../subjects/function.ts";
import { givenPool, POOL_LIMITS, spec, TICK_MS } from "../support/machines.ts";

const want = (frontendId: string, count: number): PoolEvent => ({ type: "pool.want", frontendId, count, spec: spec() });
const ahead = (frontendId: string, count = 0): PoolEvent => ({
  type: "pool.want",
  frontendId,
  count,
  ahead: true,
  spec: spec(),
});
const placed = (sandboxId: string): PoolEvent => ({ type: "sandbox.placed", sandboxId, workerId: "w1" });
const reported = (sandboxId: string, state: "idle" | "failed" | "dead", functionError?: string): PoolEvent => ({
  type: "sandbox.reported",
  sandboxId,
  workerId: "w1",
  state,
  functionError,
});
/** Its worker has granted it itself. */
const granted = (sandboxId: string, grantedTo: string): PoolEvent => ({
  type: "sandbox.reported",
  sandboxId,
  workerId: "w1",
  state: "idle",
  grantedTo,
  functionError: undefined,
});
const giveBack = (sandboxId: string, frontendId = "fe1"): PoolEvent => ({
  type: "pool.return",
  frontendId,
  sandboxId,
  alive: true,
});
const hosted = (state: "init" | "idle" | "busy"): PoolEvent => ({
  type: "worker.hosted",
  workerId: "w1",
  sandboxes: [{ sandboxId: "old", state }],
});
const grant = (sandboxId: string, frontendId = "fe1") => ({
  type: "grant",
  poolId: poolId(spec()),
  frontendId,
  sandboxId,
  workerId: "w1",
});
const place = (avoid: string[] = []) => expect.objectContaining({ type: "place", avoid });

/** A pool whose front end fe1 holds the sandbox e-1. */
const holding = () => givenPool().when(want("fe1", 1), placed("e-1"), reported("e-1", "idle"));

test("a need is met by one start, however often it is said", () => {
  const pool = givenPool().when(want("fe1", 1), want("fe1", 1), want("fe1", 1));
  expect(pool.said).toEqual([place()]);
  expect(pool.when(placed("e-1")).said).toEqual([expect.objectContaining({ type: "create", workerId: "w1" })]);
  expect(pool.when(reported("e-1", "idle")).said).toEqual([grant("e-1")]);
});

describe("a sandbox that is made for somebody", () => {
  const starting = () => givenPool().when(want("fe1", 1), want("fe2", 1)).when(placed("e-1"));

  test("is made for who has waited longest, and nothing is being made for yet", () => {
    const pool = starting();
    expect(pool.said).toEqual([expect.objectContaining({ type: "create", wantedBy: "fe1" })]);
    expect(pool.when(placed("e-2")).said).toEqual([expect.objectContaining({ type: "create", wantedBy: "fe2" })]);
  });

  test("is that front end's once its worker has said so, and goes to nobody else", () => {
    const pool = starting().when(granted("e-1", "fe1"));
    expect(pool.said).toEqual([]);
    expect(pool.when(want("fe3", 1)).said).toEqual([place()]);
    expect(pool.when(giveBack("e-1")).said).toEqual([grant("e-1", "fe2")]);
  });

  test("goes to the next where its worker's word was lost and it is given back", () => {
    expect(starting().when(giveBack("e-1")).said).toEqual([grant("e-1", "fe2")]);
  });

  test("is idle again when who it was granted to isn't heard any more", () => {
    const pool = givenPool().when(granted("e-1", "gone"));
    for (let tick = 0; tick <= POOL_LIMITS.silentTicks; tick++) pool.after(TICK_MS);
    expect(pool.when(want("fe2", 1)).said).toEqual([grant("e-1", "fe2")]);
  });

  test("is told to that front end when it can't be had", () => {
    const pool = starting().when(placed("e-2"), reported("e-2", "failed"));
    expect(pool.said).toContainEqual(expect.objectContaining({ type: "startFailed", frontendId: "fe2" }));
  });
});

describe("who is about to want one", () => {
  test("finds out where there is room, and starts nothing before it does want one", () => {
    const pool = givenPool().when(ahead("fe1"));
    expect(pool.said).toEqual([place()]);
    expect(pool.when(placed("e-1")).said).toEqual([]);
    expect(pool.when(want("fe1", 1)).said).toEqual([
      expect.objectContaining({ type: "create", sandboxId: "e-1", workerId: "w1", wantedBy: "fe1" }),
    ]);
  });

  test("who wants it before there is an answer asks no second time", () => {
    const pool = givenPool().when(ahead("fe1")).when(want("fe1", 1));
    expect(pool.said).toEqual([]);
    expect(pool.when(placed("e-1")).said).toEqual([expect.objectContaining({ type: "create" })]);
  });

  test("asks for one at a time, and not where one is idle", () => {
    expect(givenPool().when(ahead("fe1")).when(ahead("fe2"), ahead("fe1")).said).toEqual([]);
    expect(givenPool().when(ahead("fe1")).when(placed("e-1"), ahead("fe2")).said).toEqual([]);
    expect(holding().when(giveBack("e-1"), ahead("fe1")).said).toEqual([]);
  });

  test("is forgotten when it never does", () => {
    const pool = givenPool().when(ahead("fe1"), placed("e-1"));
    for (let tick = 0; tick < 5; tick++) pool.after(TICK_MS);
    expect(pool.state).toBe("gone");
  });
});

test("a sandbox that was given back goes to the next who wants one, without a start", () => {
  const pool = holding().when(giveBack("e-1"));
  expect(pool.when(want("fe2", 1)).said).toEqual([grant("e-1", "fe2")]);
});

test("a start that nobody reports is made good by another one; if it comes after all, it is idle", () => {
  const pool = givenPool().when(want("fe1", 1), placed("e-1"));
  const heard: PoolEvent = { type: "frontend.held", frontendId: "fe1" };
  for (let tick = 0; tick < POOL_LIMITS.startTicks; tick++) expect(pool.when(heard).after(TICK_MS).said).toEqual([]);
  expect(pool.when(heard).after(TICK_MS).said).toEqual([place()]);
  expect(pool.when(reported("e-1", "idle")).said).toEqual([grant("e-1")]);
});

test("a worker that refuses is avoided at the next attempt", () => {
  const pool = givenPool().when(want("fe1", 1), placed("e-1"));
  const full: PoolEvent = { type: "sandbox.notCreated", sandboxId: "e-1", refusal: refusal("NoRoom", "full") };
  expect(pool.when(full).said).toEqual([place(["w1"])]);
});

test("while nobody has room, a want is tried again at each tick, and refused by name in the end", () => {
  const pool = givenPool().when(want("fe1", 2));
  const attempts: number[] = [];
  for (let tick = 0; tick < 20 && !pool.said.some(({ type }) => type === "startFailed"); tick++) {
    for (const each of pool.said) {
      if (each.type !== "place") continue;
      pool.when({ type: "sandbox.notPlaced", sandboxId: each.sandboxId, refusal: refusal("NoRoom", "full") });
      attempts.push(tick);
    }
    pool.when({ type: "frontend.held", frontendId: "fe1" }).after(TICK_MS);
  }
  expect(attempts.length).toBeGreaterThan(POOL_LIMITS.stuckTicks);
  expect(pool.said.filter(({ type }) => type === "startFailed")).toHaveLength(2);
});

test("what no worker could ever run is refused sooner, and says why", () => {
  const pool = givenPool().when(want("fe1", 1));
  const unfit = refusal("InvalidRuntimeException", "no worker runs code for arm64");
  let ticks = 0;
  for (; ticks < 20 && !pool.said.some(({ type }) => type === "startFailed"); ticks++) {
    for (const each of pool.said)
      if (each.type === "place") pool.when({ type: "sandbox.notPlaced", sandboxId: each.sandboxId, refusal: unfit });
    pool.when({ type: "frontend.held", frontendId: "fe1" }).after(TICK_MS);
  }
  expect(ticks).toBeLessThan(POOL_LIMITS.stuckTicks);
  expect(pool.said).toContainEqual(expect.objectContaining({ type: "startFailed", refused: unfit }));
});

test("a runtime that fails in init is told to who waits, in its own words", () => {
  const pool = givenPool().when(want("fe1", 1), placed("e-1"), reported("e-1", "failed", '{"errorType":"E"}'));
  expect(pool.said).toContainEqual(
    expect.objectContaining({ type: "startFailed", functionError: '{"errorType":"E"}' }),
  );
});

describe("a start that failed by its host's fault", () => {
  const failed = (sandboxId: string, workerId = "w1"): PoolEvent => ({
    type: "sandbox.reported",
    sandboxId,
    workerId,
    state: "failed",
    functionError: undefined,
    hostFault: "ENOSPC",
  });
  const placedAt = (sandboxId: string, workerId: string): PoolEvent => ({
    type: "sandbox.placed",
    sandboxId,
    workerId,
  });
  const refused = refusal("ServiceException", "the sandbox could not be started: ENOSPC");

  test("is made good on another host, and nobody is told", () => {
    const pool = givenPool().when(want("fe1", 1), placed("e-1"), failed("e-1"));
    expect(pool.said.at(-1)).toEqual(place(["w1"]));
    expect(pool.when(placedAt("e-2", "w2"), granted("e-2", "fe1")).said).toMatchObject([
      { type: "create", workerId: "w2" },
    ]);
  });

  test("is told as the service's, with its cause, when it has failed too often one after the other", () => {
    const pool = givenPool().when(
      want("fe1", 1),
      placed("e-1"),
      failed("e-1"),
      placedAt("e-2", "w2"),
      failed("e-2", "w2"),
    );
    expect(pool.said.at(-1)).toEqual(place(["w1", "w2"]));
    pool.when(placed("e-3"), failed("e-3"));
    expect(pool.said.filter(({ type }) => type !== "place" && type !== "create")).toEqual([
      { type: "startFailed", poolId: expect.any(String), frontendId: "fe1", refused },
    ]);
    // While it lasts, each who wants one costs the hosts one attempt.
    expect(pool.when(want("fe2", 1), placed("e-4"), failed("e-4")).said).toContainEqual(
      expect.objectContaining({ type: "startFailed", frontendId: "fe2", refused }),
    );
  });

  test("counts anew once a start has come to something", () => {
    const pool = givenPool().when(want("fe1", 1), placed("e-1"), failed("e-1"), placed("e-2"), failed("e-2"));
    pool.when(placed("e-3"), granted("e-3", "fe1"), want("fe1", 1), placed("e-4"), failed("e-4"));
    expect(pool.saidSoFar.some(({ type }) => type === "startFailed")).toBe(false);
  });

  test("in a sandbox that somebody holds, he knows already; its host is avoided", () => {
    const pool = holding().when(failed("e-1"));
    expect(pool.said).toEqual([]);
    expect(pool.when(want("fe1", 1)).said).toEqual([place(["w1"])]);
  });
});

test("what a silent front end held is idle again", () => {
  const pool = holding();
  for (let tick = 0; tick <= POOL_LIMITS.silentTicks; tick++) pool.after(TICK_MS);
  expect(pool.when(want("fe2", 1)).said).toEqual([grant("e-1", "fe2")]);
});

describe("after a restart", () => {
  test("what workers host is known again", () => {
    expect(givenPool().when(hosted("idle"), want("fe1", 1)).said).toEqual([grant("old")]);
  });

  test("a busy one is nobody's until its holder gives it back", () => {
    const pool = givenPool().when(hosted("busy"), giveBack("old", "fe1"));
    expect(pool.when(want("fe2", 1)).said).toEqual([grant("old", "fe2")]);
  });
});

describe("when the version was replaced", () => {
  test("idle sandboxes stop, and held ones once they are given back", () => {
    const pool = holding().when({ type: "pool.retire" });
    expect(pool.state).toBe("retiring.waiting");
    expect(pool.said).toEqual([]);
    expect(pool.when(giveBack("e-1")).after(TICK_MS).said).toEqual([
      expect.objectContaining({ type: "stop", sandboxId: "e-1" }),
    ]);
    expect(pool.when(reported("e-1", "dead")).after(TICK_MS).state).toBe("gone");
  });

  test("who waits is served before it retires", () => {
    const pool = givenPool().when(want("fe1", 1), placed("e-1"), { type: "pool.retire" });
    expect(pool.state).toBe("serving.waiting");
    expect(pool.when(reported("e-1", "idle")).said).toEqual([grant("e-1")]);
    expect(pool.state).toBe("retiring.waiting");
  });

  test("who asks late, having not heard of it yet, is served too", () => {
    const pool = givenPool().when(hosted("busy"), { type: "pool.retire" });
    expect(pool.when(want("fe2", 1)).said).toEqual([place()]);
  });

  test("a start that nobody needs any more is given up, and the pool ends", () => {
    const pool = givenPool().when(want("fe1", 1), want("fe1", 0), { type: "pool.retire" });
    expect(pool.state).toBe("retiring.waiting");
    expect(pool.when(placed("e-1")).said).toEqual([]);
    expect(pool.after(TICK_MS).state).toBe("gone");
  });
});
