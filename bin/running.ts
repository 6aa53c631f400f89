/** What `mayfly up` leaves in the home while it runs, so that other commands find it. */
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Home } from "./embedded/home.ts";
import { writePrivately } from "./embedded/private-file.ts";
import { isAlive, type ProcessIdentity } from "./embedded/process-identity.ts";

export interface Running {
  /** `nats://127.0.0.1:4222`; the credentials lie elsewhere in the home, unless the URL has its own. */
  readonly url: string;
  /** The process that runs the platform. */
  readonly pid: number;
  /** The same, unmistakably: a later process of that number is another one. */
  readonly process: ProcessIdentity;
  /** Epoch milliseconds. */
  readonly startedAt: number;
  readonly zones: readonly string[];
  /** What `up` does at its start is done, the hello example included. */
  readonly isReady: boolean;
}

export const runningFile = (home: Home): string => join(home.run, "mayfly.json");

export const writeRunning = (home: Home, running: Running): Promise<void> =>
  writePrivately(runningFile(home), `${JSON.stringify(running, null, 2)}\n`);

export const forgetRunning = (home: Home): Promise<void> => rm(runningFile(home), { force: true });

/** Undefined when nothing runs here: no file, not one of ours, or left behind by a Mayfly that was killed. */
export async function readRunning(home: Home): Promise<Running | undefined> {
  try {
    const told = JSON.parse(await readFile(runningFile(home), "utf8")) as Partial<Running>;
    const { url, pid, process, startedAt, zones = [], isReady = false } = told;
    if (typeof url !== "string" || typeof pid !== "number" || typeof startedAt !== "number") return undefined;
    return process !== undefined && (await isAlive(process))
      ? { url, pid, process, startedAt, zones, isReady }
      : undefined;
  } catch {
    return undefined;
  }
}
