/** Noticing from outside who in a function that initialises calls for Lambda's APIs. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { lacksHost, watchForCallers } from "../../actors/sandbox/callers.ts";
import type { Booted } from "../../actors/sandbox/drivers/driver.ts";
import type { Furnishing } from "../../actors/sandbox/world.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const init = { env: { AWS_LAMBDA_RUNTIME_API: "127.0.0.1:9001" } };
const SOON_MS = 1000;

function watched(isCalled: () => boolean, isStill = () => true, env = init) {
  const called = vi.fn();
  const isCalledAt = vi.fn(async (_port: number) => isCalled());
  watchForCallers({ isCalledAt } as Partial<Booted> as Booted, env, isStill, called);
  return { called, isCalledAt };
}

test("a caller is told of once, whenever it comes", async () => {
  let isCalled = false;
  const { called, isCalledAt } = watched(() => isCalled);
  await vi.advanceTimersByTimeAsync(SOON_MS);
  expect(called).not.toHaveBeenCalled();
  isCalled = true;
  await vi.advanceTimersByTimeAsync(SOON_MS);
  await vi.advanceTimersByTimeAsync(SOON_MS);
  expect([called.mock.calls.length, vi.getTimerCount()]).toEqual([1, 0]);
  expect(isCalledAt).toHaveBeenLastCalledWith(9001);
});

test("nobody looks any more once the init is over, and what was seen meanwhile is forgotten", async () => {
  let isInit = true;
  const { called } = watched(
    () => {
      isInit = false;
      return true;
    },
    () => isInit,
  );
  await vi.advanceTimersByTimeAsync(SOON_MS);
  expect([called.mock.calls.length, vi.getTimerCount()]).toEqual([0, 0]);
});

test("nobody looks where it can't be seen, or where there is no address of its own", () => {
  watchForCallers({} as Booted, init, () => true, vi.fn());
  watched(
    () => true,
    () => true,
    { env: { AWS_LAMBDA_RUNTIME_API: "127.0.0.1:0" } },
  );
  expect(vi.getTimerCount()).toBe(0);
});

test("where a host of ours runs, it answers who calls", () => {
  const furnishing = (overheadMiB: number, client?: string[]) =>
    ({ overheadMiB, init: { ...(client === undefined ? {} : { client }) } }) as unknown as Furnishing;
  expect(lacksHost(furnishing(0))).toBe(true);
  expect([undefined, furnishing(48), furnishing(48, ["node"])].map(lacksHost)).toEqual([false, false, false]);
});
