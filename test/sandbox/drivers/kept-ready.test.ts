import { describe, expect, test, vi } from "vitest";
import { KeptReady } from "../../../actors/sandbox/drivers/kept-ready.ts";

const PATIENCE = { timeout: 10_000 };

function numbers(fails: (number: number) => boolean = () => false) {
  let made = 0;
  const ended: number[] = [];
  const make = async () => {
    made += 1;
    if (fails(made)) throw new Error(`no ${made}`);
    return made;
  };
  const end = async (one: number) => void ended.push(one);
  return { made: () => made, ended, kept: new KeptReady({ ready: 2, make, end }) };
}

describe("things kept ready", () => {
  test("are made anew once they are taken, and those nobody took are ended with it", async () => {
    const { kept, made, ended } = numbers();
    await vi.waitFor(() => expect(made()).toBe(2), PATIENCE);
    expect([kept.take(), kept.take(), kept.take()]).toEqual([2, 1, undefined]);
    await vi.waitFor(() => expect(made()).toBe(4), PATIENCE);
    await kept.close();
    expect(ended).toEqual([3, 4]);
    expect(kept.take()).toBeUndefined();
  });

  test("are fewer where one can't be made, and it is tried again once one is taken", async () => {
    const { kept, made } = numbers((number) => number === 2);
    await vi.waitFor(() => expect(made()).toBe(2), PATIENCE);
    expect(kept.take()).toBe(1);
    await vi.waitFor(() => expect(made()).toBe(4), PATIENCE);
    await kept.close();
  });
});
