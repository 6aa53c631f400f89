import { expect, test, vi } from "vitest";
import { BootFailed, type SandboxDriver } from "../../../actors/sandbox/drivers/driver.ts";
import { EgressUnavailable } from "../../../actors/sandbox/drivers/egress/network.ts";
import { tryNetwork } from "../../../actors/sandbox/drivers/isolation.ts";

/** What each trial sandbox comes to; an error is why it can't begin. */
const driverOf = (...ends: Array<Error | undefined>) => {
  const destroy = vi.fn(async () => {});
  const boot = async () => {
    const error = ends.shift();
    if (error !== undefined) throw error;
    return { exited: Promise.resolve() };
  };
  return { driver: { create: async () => ({ boot, destroy }) } as unknown as SandboxDriver, destroy };
};

test("a worker gives no networks because one sandbox told that there are none, and not because one couldn't begin", async () => {
  const failed = new BootFailed("its first process has ended");
  const none = new EgressUnavailable("slirp4netns was not found", "Install it.");
  const comesTo = async (...ends: Array<Error | undefined>) => {
    const { driver, destroy } = driverOf(...ends);
    return [(await tryNetwork(driver))?.message, destroy.mock.calls.length];
  };
  expect(await comesTo(undefined)).toEqual([undefined, 1]);
  expect(await comesTo(failed, undefined)).toEqual([undefined, 2]);
  expect(await comesTo(none)).toEqual([none.message, 1]);
  expect(await comesTo(failed, failed)).toEqual([expect.stringContaining("its first process has ended"), 2]);
});
