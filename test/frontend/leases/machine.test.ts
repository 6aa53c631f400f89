import { describe, expect, test } from "vitest";
import type { Delivery } from "../../../actors/bus/wiring.ts";
import { leasesWiring } from "../../../actors/frontend/leases/wiring.ts";
import { Recall } from "../../../subjects/counting.ts";
import { refusal } from "../../../subjects/errors.ts";
import { DEFAULT_ACCOUNT } from "../../../subjects/tokens.ts";
import { givenLeases, TICK_MS } from "../../support/machines.ts";

const arrived = (requestId: string) => ({ type: "invocation.arrived", requestId }) as const;
const tokens = (count: number) =>
  ({ type: "tokens.granted", asked: count, granted: count, refused: undefined }) as const;
const sandbox = { sandboxId: "s1", workerId: "w1" };
const granted = { type: "sandbox.granted", sandbox } as const;
const finished = (requestId: string) =>
  ({ type: "invocation.finished", requestId, sandbox, alive: true, again: false }) as const;
const recalled = (acct: string, fn?: string) => ({ type: "leases.recalled", acct, fn }) as const;

/** Leases with one token and one sandbox, both idle. */
const warm = () => givenLeases().when(arrived("q1"), tokens(1), granted, finished("q1"));

const types = (events: ReadonlyArray<{ type: string }>) => events.map(({ type }) => type);

test("a cold invocation asks for a token, then for a sandbox, then runs", () => {
  const leases = givenLeases();
  // Where there is room for one is found out meanwhile; no sandbox is wanted before it is admitted.
  expect(leases.when(arrived("q1")).said).toMatchObject([
    { type: "ask", count: 1 },
    { type: "want", count: 0, ahead: true },
  ]);
  expect(leases.when(tokens(1)).said).toEqual([expect.objectContaining({ type: "want", count: 1 })]);
  expect(leases.said).not.toContainEqual(expect.objectContaining({ ahead: true }));
  expect(leases.told).toEqual([{ requestId: "q1", event: { type: "lease.admitted" } }]);
  expect(leases.when(granted).told).toEqual([{ requestId: "q1", event: { type: "lease.granted", sandbox } }]);
});

test("a warm invocation asks nobody", () => {
  const leases = warm().when(arrived("q2"));
  expect(leases.said).toEqual([]);
  expect(types(leases.told.map(({ event }) => event))).toEqual(["lease.granted"]);
});

test("who has a sandbox at hand asks for no more than a token", () => {
  const silence = refusal("ServiceException", "no answer");
  const unanswered = { type: "tokens.granted", asked: 1, granted: 0, refused: silence } as const;
  const leases = givenLeases().when(arrived("q1"), granted, unanswered);
  expect(types(leases.after(TICK_MS).said)).toEqual(["ask", "held"]);
});

test("a sandbox that nobody waits for any more goes back at once", () => {
  const leases = givenLeases().when(arrived("q1"), tokens(1), { type: "invocation.left", requestId: "q1" });
  expect(leases.when(granted).said).toMatchObject([{ type: "giveBack", sandbox, alive: true }]);
});

test("what is wanted is said again every tick, so that a worker manager without memory serves it too", () => {
  const leases = givenLeases().when(arrived("q1"), tokens(1));
  expect(leases.after(TICK_MS).said).toMatchObject([
    { type: "want", count: 1 },
    { type: "held", count: 1 },
  ]);
  expect(leases.when({ type: "leases.recount" }).said).toMatchObject([{ type: "held" }, { type: "want", count: 1 }]);
});

test("a failed start without a reason refuses the invocation by name all the same", () => {
  const leases = givenLeases().when(arrived("q1"), tokens(1));
  leases.when({ type: "sandbox.failed", refused: undefined, functionError: undefined });
  expect(leases.told).toMatchObject([{ requestId: "q1", event: { type: "lease.refused" } }]);
});

describe("when idle tokens are called back", () => {
  test("they are given back, with the sandbox", () => {
    const said = warm().when(recalled(DEFAULT_ACCOUNT)).said;
    expect(said).toMatchObject([
      { type: "giveBack", sandbox, alive: true },
      { type: "release", count: 1 },
    ]);
  });

  test("another account's and another function's need is none of theirs", () => {
    const leases = warm();
    expect(leases.when(recalled("111111111111")).said).toEqual([]);
    expect(leases.when(recalled(DEFAULT_ACCOUNT, "other")).said).toEqual([]);
    expect(types(leases.when(recalled(DEFAULT_ACCOUNT, "hello")).said)).toEqual(["giveBack", "release"]);
  });

  test("a lowered limit comes through from the network, and what is above it goes back when it is done", () => {
    const lowered = leasesWiring("fe1")
      .hears.find(({ contract }) => contract.pattern === Recall.pattern)
      ?.toEvent({ fn: "hello", atMost: 0 }, {
        address: { acct: DEFAULT_ACCOUNT },
      } as unknown as Delivery);
    const leases = warm().when(arrived("q2"), lowered as ReturnType<typeof recalled>);
    expect(leases.said).toEqual([]);
    expect(types(leases.when(finished("q2")).said)).toContain("release");
  });

  test("what runs is kept", () => {
    expect(warm().when(arrived("q2"), recalled(DEFAULT_ACCOUNT)).said).toEqual([]);
  });
});

test("an idle sandbox of a lost worker is never handed out", () => {
  const leases = warm().when({ type: "worker.lost", workerId: "w1" }, arrived("q2"));
  expect(types(leases.told.map(({ event }) => event))).toEqual(["lease.admitted"]);
  expect(leases.said).toMatchObject([{ type: "want", count: 1 }]);
});

test("leases that nobody uses give everything back and end", () => {
  const leases = warm().after(TICK_MS).after(TICK_MS);
  expect(types(leases.said)).toContain("release");
  leases.after(TICK_MS);
  expect(leases.state).toBe("gone");
});

describe("when the version was replaced", () => {
  test("what is idle goes back at once", () => {
    expect(types(warm().when({ type: "leases.superseded" }).said)).toEqual(["giveBack", "release"]);
  });

  test("what runs goes back when it is done", () => {
    const leases = warm().when(arrived("q2"), { type: "leases.superseded" });
    expect(leases.said).toEqual([]);
    expect(types(leases.when(finished("q2")).said)).toEqual(["giveBack", "release"]);
    expect(leases.after(TICK_MS).state).toBe("gone");
  });

  test("who waits is still served", () => {
    const leases = givenLeases().when(arrived("q1"), tokens(1), { type: "leases.superseded" });
    expect(leases.after(TICK_MS).said).toMatchObject([
      { type: "want", count: 1 },
      { type: "held", count: 1 },
    ]);
    expect(leases.when(granted).told).toMatchObject([{ event: { type: "lease.granted" } }]);
  });
});
