/**
 * Looks from outside whether a function that initialises has called for Lambda's APIs. Its runtime listens as well, and
 * tells at once; but one of a single thread is deaf while the function's code keeps that thread, as one does that waits
 * for a program it has started.
 */
import type { Booted } from "./drivers/driver.ts";
import type { RuntimeInit } from "./runtime-init.ts";
import type { Furnishing } from "./world.ts";

/** Most inits are over by then; and who waits for an answer waits some seconds. */
const LOOK_MS = 500;

/** It has nothing of ours beside its runtime, which speaks to the worker itself: nobody there would be answered. */
export const lacksHost = (furnishing: Furnishing | undefined): boolean =>
  furnishing?.overheadMiB === 0 && furnishing.init.client === undefined;

/** Calls `called` once at most, and looks no more when `isStill` says so. Does nothing where it can't be seen. */
export function watchForCallers(
  booted: Booted,
  { env: { AWS_LAMBDA_RUNTIME_API: address = "" } }: Pick<RuntimeInit, "env">,
  isStill: () => boolean,
  called: () => void,
): void {
  const port = Number(address.slice(address.lastIndexOf(":") + 1));
  const look = async () => {
    if (!isStill()) return;
    const isCalled = await booted.isCalledAt?.(port);
    if (!isStill()) return;
    if (isCalled) called();
    else again();
  };
  const again = () => void setTimeout(look, LOOK_MS).unref();
  if (booted.isCalledAt !== undefined && port > 0) again();
}
