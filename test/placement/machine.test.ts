import { describe, expect, test } from "vitest";
import { refusal } from "../../subjects/errors.ts";
import type { Heartbeat } from "../../subjects/worker.ts";
import { beat, givenLease, LEASE_MS, TICK_MS } from "../support/machines.ts";

const place = (replyTo: string) =>
  ({ type: "worker.place", replyTo, memoryMiB: 128, at: 1000, leaseMs: LEASE_MS }) as const;
const beats = (state: Heartbeat["state"]) => ({ type: "worker.beat", beat: beat({ state }), at: 5000 }) as const;
const accepted = { type: "lease.accepted" } as const;
const MISSED_MS = 1.5 * TICK_MS;

test("the first sandbox for a worker takes a lease on it, and all who wait are answered with it", () => {
  const lease = givenLease().when(place("a"));
  expect(lease.said).toEqual([{ type: "askLease", workerId: "w1", endsAt: 1000 + LEASE_MS }]);
  expect(lease.when(place("b")).said).toEqual([]);
  expect(lease.when(accepted).said).toMatchObject([
    { type: "reply", to: "a", body: { workerId: "w1" } },
    { type: "reply", to: "b" },
  ]);
  expect(lease.told).toEqual(["keepLease"]);
  expect(lease.when(place("c")).said).toMatchObject([{ type: "reply", to: "c" }]);
});

test("a worker that refuses the lease is refused to all who wait, and may be asked again", () => {
  const lease = givenLease().when(place("a"), { type: "lease.refused", refusal: refusal("NoRoom", "leaving") });
  expect(lease.said.slice(1)).toMatchObject([{ type: "refuse", to: "a", refusal: { name: "NoRoom" } }]);
  expect(lease.when(place("b")).said).toMatchObject([{ type: "askLease" }]);
});

test("what was promised counts until the worker's next word", () => {
  const lease = givenLease({ beat: beat({ state: "ready" }) }).when(place("a"), place("b"));
  expect(lease.snapshot.context.promisedMiB).toBe(256);
  expect(lease.when(beats("ready")).snapshot.context.promisedMiB).toBe(0);
});

describe("after a restart of placement", () => {
  test("a worker that is on lease stays on it, for a new term", () => {
    const lease = givenLease({ beat: beat({ state: "ready" }) });
    expect(lease.state).toBe("known.lease.leased+health.well");
    expect(lease.told).toEqual(["keepLease"]);
    for (let ms = 0; ms < 10 * TICK_MS; ms += TICK_MS) lease.when(beats("ready")).after(TICK_MS);
    expect(lease.state).toBe("known.lease.leased+health.well");
  });

  test("a draining worker is not placed on", () => {
    expect(givenLease({ beat: beat({ state: "draining" }) }).when(place("a")).said).toMatchObject([{ type: "refuse" }]);
  });
});

describe("a lease", () => {
  test("ends with draining the worker", () => {
    const lease = givenLease({ beat: beat({ state: "ready" }), leaseMs: 2000 });
    expect(lease.when(beats("ready")).after(1000).when(beats("ready")).after(1000).said).toMatchObject([
      { type: "drain" },
    ]);
    expect(lease.told).toEqual(["dropLease"]);
    expect(lease.when(place("a")).said).toMatchObject([{ type: "refuse", to: "a" }]);
  });

  test("is over when the worker drains of itself, and whoever waits for it is refused", () => {
    expect(givenLease({ beat: beat({ state: "ready" }) }).when(beats("draining")).told).toEqual(["dropLease"]);
    const leasing = givenLease().when(place("a")).when(beats("draining"));
    expect(leasing.said).toMatchObject([{ type: "refuse", to: "a" }]);
    expect(leasing.when(accepted).state).toBe("known.lease.draining+health.well");
  });

  test("is lost with the worker's memory of it", () => {
    const lease = givenLease({ beat: beat({ state: "ready" }) }).when(beats("joining"));
    expect(lease.state).toBe("known.lease.offered+health.well");
    expect(lease.told).toEqual(["dropLease"]);
  });
});

describe("health", () => {
  test("a missed beat makes a worker suspect, and the next beat well again", () => {
    const lease = givenLease().after(MISSED_MS);
    expect(lease.state).toBe("known.lease.offered+health.suspect");
    expect(lease.when(beats("joining")).state).toBe("known.lease.offered+health.well");
  });

  test("a second missed beat makes it lost, and whoever waits for it is refused", () => {
    const lease = givenLease().when(place("a")).after(MISSED_MS).after(MISSED_MS);
    expect(lease.said).toMatchObject([
      { type: "lost", workerId: "w1" },
      { type: "refuse", to: "a" },
    ]);
    expect(lease.told).toEqual(["keepLoss"]);
    expect(lease.state).toBe("lost.silent");
    expect(lease.when(place("b")).said).toMatchObject([{ type: "refuse", to: "b" }]);
  });

  test("a worker that says it is gone is lost at once", () => {
    expect(givenLease().when(beats("gone")).said).toMatchObject([{ type: "lost" }]);
  });
});

describe("a worker that was given up", () => {
  const lost = (state: Heartbeat["state"] = "ready") =>
    givenLease({ beat: beat({ state }) })
      .after(MISSED_MS)
      .after(MISSED_MS);
  const told = { type: "worker.told" } as const;
  const givenUp = (silentSince: number) => ({ type: "givenUp", workerId: "w1", silentSince });

  test("and is heard again is told, and takes nothing before it knows; then it is on lease for a new term", () => {
    const lease = lost().when(beats("ready"));
    expect([lease.state, lease.said]).toEqual(["lost.telling", [givenUp(0)]]);
    expect(lease.when(beats("ready"), place("a")).said).toMatchObject([{ type: "refuse", to: "a" }]);
    expect(lease.when(told).state).toBe("known.lease.leased+health.well");
    expect([lease.told, lease.snapshot.context.leasedAt]).toEqual([["dropLease", "keepLease"], 5000]);
    expect(lease.when(place("b")).said).toMatchObject([{ type: "reply", to: "b" }]);
  });

  test("is told at its next beat where it couldn't be, of the same silence", () => {
    const lease = lost().when(beats("ready"), { type: "worker.notTold" });
    expect(lease.state).toBe("lost.silent");
    expect(lease.when(beats("ready")).said).toEqual([givenUp(0)]);
  });

  test("and joins anew, or drains, is taken as that", () => {
    expect(lost("joining").when(beats("joining"), told).state).toBe("known.lease.offered+health.well");
    expect(lost().when(beats("draining"), told).state).toBe("known.lease.draining+health.well");
  });

  test("and leaves, or is silent for as long as a lease may last, is forgotten", () => {
    for (const lease of [lost().when(beats("gone")), lost().after(LEASE_MS)])
      expect([lease.isOver, lease.told]).toEqual([true, ["dropLease"]]);
    expect(lost().when(beats("ready"), beats("gone")).isOver).toBe(true);
  });

  test("and falls silent again is lost again, and told of that silence then", () => {
    const lease = lost().when(beats("ready"), told).after(MISSED_MS).after(MISSED_MS);
    expect([lease.state, lease.said]).toEqual(["lost.silent", [{ type: "lost", workerId: "w1" }]]);
    expect(lease.when(beats("ready")).said).toEqual([givenUp(5000)]);
  });

  test("by the placement before this one takes nothing either, is told when it is heard, or forgotten", () => {
    const kept = () => givenLease({ beat: undefined, heardAt: 400 });
    const lease = kept().when(place("a"));
    expect([lease.state, lease.said]).toMatchObject(["lost.silent", [{ type: "refuse", to: "a" }]]);
    expect(lease.when(beats("ready")).said).toEqual([givenUp(400)]);
    expect(lease.when(told).state).toBe("known.lease.leased+health.well");
    expect(kept().after(LEASE_MS).told).toEqual(["dropLease"]);
  });
});
