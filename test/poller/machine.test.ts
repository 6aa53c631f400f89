import { describe, expect, test } from "vitest";
import type { Outcome } from "../../actors/poller/policy.ts";
import { givenEvent, RULES } from "../support/machines.ts";

const slot = { type: "slot.granted", at: 0, rules: RULES } as const;
const ended = (outcome: Outcome) => ({ type: "run.ended", outcome, at: 0, rules: RULES }) as const;
const ok = ended({ kind: "ok", payload: new Uint8Array(), executedVersion: "1" });
const throttled = ended({ kind: "refused", code: 429, name: "TooManyRequestsException", message: "no" });
const unknown = ended({ kind: "refused", code: 404, name: "ResourceNotFoundException", message: "no" });
const stored = { type: "stored" } as const;
const notStored = { type: "notStored", why: "no" } as const;
const running = () => givenEvent().when(slot);

test("an event waits for a slot before it runs", () => {
  expect(givenEvent().told).toEqual([]);
  expect(running().told).toEqual(["run"]);
});

test("one that may not begin is buried without being run", () => {
  const closed = givenEvent().when({ ...slot, rules: { ...RULES, isClosed: true } });
  expect(closed.told).toEqual(["bury"]);
  expect(closed.snapshot.context.verdict).toMatchObject({ reason: "ZeroReservedConcurrency" });
});

describe("its message leaves the queue", () => {
  test("only after the destination of its success was told", () => {
    const event = running().when(ok);
    expect(event.told).toEqual(["succeed"]);
    expect(event.when(stored)).toMatchObject({ state: "succeeded", told: ["acknowledge"] });
  });

  test("only after its next attempt is stored", () => {
    const event = running().when(throttled);
    expect(event.told).toEqual(["defer"]);
    expect(event.when(stored)).toMatchObject({ state: "retrying", told: ["acknowledge"] });
  });

  test("only after its dead letter is stored", () => {
    const event = running().when(unknown);
    expect(event.told).toEqual(["bury"]);
    expect(event.when(stored)).toMatchObject({ state: "dead", told: ["acknowledge"] });
  });
});

test("what can't be stored is stored again after a pause, for as long as it takes", () => {
  const event = running().when(unknown);
  for (let tries = 0; tries < 10; tries++) {
    expect(event.when(notStored).told).toEqual([]);
    expect(event.after(1000).told).toEqual(["bury"]);
  }
});

test("while it is in hand it says that it is worked on", () => {
  for (const event of [givenEvent(), running(), running().when(throttled)]) {
    expect(event.when({ type: "event.ticked" }).told).toEqual(["keep"]);
  }
});

test("one that was recalled before it ran goes back, one that runs is finished", () => {
  expect(givenEvent().when({ type: "event.recalled" })).toMatchObject({ state: "returned", told: ["giveBack"] });
  expect(running().when({ type: "event.recalled" }).state).toBe("running");
});
