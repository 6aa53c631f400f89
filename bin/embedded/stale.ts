/** A nats-server left behind by a run that was killed: recognised with certainty, then ended. */
import { readFile, rm } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { commandLine, identify, isAlive } from "./process-identity.ts";

const politeMs = 2000;
const lookEveryMs = 20;

/**
 * Ends the process that the pid file names if its command line names our configuration file, and
 * waits until it is gone. Any other process with that number is let be. Call it only while holding
 * the home's claim: then no living run can own the server.
 * @returns the ended process's id
 */
export async function endStale(pidFile: string, confFile: string): Promise<number | undefined> {
  const pid = Number(await readFile(pidFile, "utf8").catch(() => ""));
  if (!Number.isInteger(pid) || pid <= 1) return undefined;
  const identity = await identify(pid);
  const ours = identity !== undefined && (await commandLine(pid)).includes(confFile);
  if (ours) {
    process.kill(pid, "SIGTERM");
    const forceAt = performance.now() + politeMs;
    let forced = false;
    // Not our child, so no event tells of its end.
    while (await isAlive(identity)) {
      if (!forced && performance.now() > forceAt) {
        forced = true;
        process.kill(pid, "SIGKILL");
      }
      await delay(lookEveryMs);
    }
  }
  await rm(pidFile, { force: true });
  return ours ? pid : undefined;
}
