/** How a life in a sandbox ends: at once, or, where it has extensions, after they were told and had their time. */
import type { Booted } from "./drivers/driver.ts";
import { encodeShutdown } from "./frames.ts";
import type { ShutdownReason } from "./runtime-init.ts";

/** What external extensions have to shut down. Source: Lambda developer guide, "Shutdown phase". */
const GRACE_MS = 2000;
/** Beside it, for the host to end itself. */
const HOST_MS = 300;

/** Announces the end and resolves when nothing is left, within 2.3 s. */
export function takeLeave(booted: Booted, reason: ShutdownReason): Promise<void> {
  booted.channel.write(encodeShutdown({ reason, graceMs: GRACE_MS }));
  return goneSoon(booted);
}

/** One that has begun to end is waited for, and killed when it takes too long. */
export async function goneSoon(booted: Booted): Promise<void> {
  const timer = setTimeout(() => void booted.kill(), GRACE_MS + HOST_MS);
  await booted.exited;
  clearTimeout(timer);
}
