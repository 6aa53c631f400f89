/** Stem cells on a driver that only counts; what real ones do is in test/e2e. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Booted, Enclosure, EnclosureSpec, Exit } from "../../../actors/sandbox/drivers/driver.ts";
import { StemCells } from "../../../actors/sandbox/stem-cells/pool.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const code = { from: "/code/v1", to: "/var/task" };
const specOf = (change: Partial<EnclosureSpec> = {}): EnclosureSpec => ({
  id: "s1",
  memoryMiB: 128,
  cpus: 0.1,
  pids: 10,
  tmpMiB: 512,
  mounts: [{ from: "/node", to: "/var/lang/bin/node" }, code],
  command: ["/var/lang/bin/node"],
  ...change,
});

/** A driver whose enclosures are marked by what happened to them. */
function given({ perKind = 2, total = 4 } = {}) {
  const made: Array<{ spec: EnclosureSpec; placed: unknown[]; destroyed: number; end: () => void }> = [];
  const failures: unknown[] = [];
  const next = {
    create: undefined as Error | undefined,
    boot: undefined as Promise<void> | undefined,
    place: undefined as Error | undefined,
  };
  const create = async (spec: EnclosureSpec): Promise<Enclosure> => {
    if (next.create) throw next.create;
    const exited = Promise.withResolvers<Exit>();
    const end = () => exited.resolve({ code: 1, signal: null, outOfMemory: false, started: true });
    const mark = { spec, placed: [] as unknown[], destroyed: 0, end };
    made.push(mark);
    return {
      id: spec.id,
      boot: async () => {
        await next.boot;
        return { exited: exited.promise } as unknown as Booted;
      },
      placeCode: async (mounts: unknown) => {
        if (next.place) throw next.place;
        mark.placed.push(mounts);
      },
      destroy: async () => {
        mark.destroyed += 1;
      },
    } as unknown as Enclosure;
  };
  const cells = new StemCells({
    driver: { create },
    limits: { perKind, total, burstMs: 500, memoryMs: 60_000 },
    nowMs: () => vi.getMockedSystemTime()?.getTime() ?? 0,
    failed: (error) => failures.push(error),
  });
  const ready = () => made.filter(({ placed, destroyed }) => placed.length === 0 && destroyed === 0);
  return { cells, made, failures, next, ready };
}

const settle = (ms: number) => vi.advanceTimersByTimeAsync(ms);

describe("stem cells", () => {
  test("are made a moment after one was asked for, and hold nothing of a function", async () => {
    const { cells, made } = given();
    expect(await cells.take(specOf())).toBeUndefined();
    await settle(99);
    expect(made).toEqual([]);
    await settle(1);
    expect(made.map(({ spec }) => spec)).toEqual([
      {
        ...specOf(),
        id: "stem-1",
        mounts: [{ from: "/node", to: "/var/lang/bin/node" }],
        latePlaces: ["/var/task", "/opt"],
      },
    ]);
  });

  test("are given away once, with what the taker wants to be seen", async () => {
    const { cells, made } = given();
    await Promise.all([cells.take(specOf()), cells.take(specOf())]);
    await settle(100);
    expect(made).toHaveLength(2);
    const taken = await Promise.all(["s1", "s2", "s3"].map((id) => cells.take(specOf({ id }))));
    expect(new Set(taken.map((cell) => cell?.enclosure.id))).toEqual(new Set(["stem-1", "stem-2", undefined]));
    expect(made.map(({ placed }) => placed)).toEqual([[[code]], [[code]]]);
    await settle(100);
    const later = await cells.take(specOf({ id: "s4" }));
    expect(taken.map((cell) => cell?.enclosure)).not.toContain(later?.enclosure);
    await cells.close();
    expect(made.filter(({ placed }) => placed.length > 0).map(({ destroyed }) => destroyed)).toEqual([0, 0, 0]);
  });

  test.each([
    { what: "another size", change: { memoryMiB: 256 } },
    { what: "another runtime", change: { command: ["/usr/bin/python3"] } },
    { what: "another /tmp", change: { tmpMiB: 1024 } },
    { what: "what is to have a network", change: { egress: ["internet"] } },
  ])("of one kind don't serve $what", async ({ change }) => {
    const { cells } = given();
    await cells.take(specOf());
    await settle(100);
    expect(await cells.take(specOf(change))).toBeUndefined();
    expect(await cells.take(specOf({ mounts: [...specOf().mounts, { from: "/layers", to: "/opt" }] }))).toBeDefined();
  });

  test("go when nobody has asked for so long, and cost nothing then", async () => {
    const { cells, made, ready } = given();
    await cells.take(specOf());
    await settle(100);
    expect(ready()).toHaveLength(1);
    await settle(80_000);
    expect(ready()).toEqual([]);
    expect(made[0]?.destroyed).toBe(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("are kept where that was told, at once and without being asked for", async () => {
    const { cells, ready } = given();
    cells.keep(specOf(), 1);
    await settle(0);
    expect(ready()).toHaveLength(1);
    await settle(200_000);
    expect(ready()).toHaveLength(1);
    await cells.close();
    expect(ready()).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
    expect(await cells.take(specOf())).toBeUndefined();
  });

  test("are made anew once what they are made of has changed, those too that were being made", async () => {
    const { cells, made, next, ready } = given();
    await cells.take(specOf());
    await settle(100);
    cells.renew();
    expect([await cells.take(specOf()), made[0]?.destroyed]).toEqual([undefined, 1]);
    const slow = Promise.withResolvers<void>();
    next.boot = slow.promise;
    await settle(100);
    cells.renew();
    next.boot = undefined;
    slow.resolve();
    await settle(100);
    expect(made.map(({ destroyed }) => destroyed)).toEqual([1, 1, 0, 0]);
    expect(ready()).toHaveLength(2);
  });

  test("that die are not given away, and no others are made until one is asked for", async () => {
    const { cells, made, ready } = given();
    await cells.take(specOf());
    await settle(100);
    made[0]?.end();
    await settle(30_000);
    expect(made).toHaveLength(1);
    expect(made[0]?.destroyed).toBe(1);
    expect(await cells.take(specOf())).toBeUndefined();
    await settle(100);
    expect(ready()).toHaveLength(1);
  });

  test("that can't be made or filled are told of, and the taker makes its sandbox itself", async () => {
    const { cells, made, failures, next } = given();
    next.create = new Error("no room");
    await cells.take(specOf());
    await settle(30_000);
    expect(failures).toEqual([next.create]);
    next.create = undefined;
    next.place = new Error("no mount");
    await cells.take(specOf());
    await settle(100);
    expect(await cells.take(specOf())).toBeUndefined();
    expect(failures.at(-1)).toBe(next.place);
    expect(made[0]?.destroyed).toBe(1);
  });
});
