/** Helpers of a runtime that end by themselves some time after it: found by the bundle's path in what they were started with. */
import { readdir, readFile } from "node:fs/promises";
import { setTimeout as wait } from "node:timers/promises";
import { killQuietly } from "../cgroups/files.ts";

const PAUSE_MS = 5;

/** Resolves when no process of the host has `bundle` on its command line. */
export async function endStragglers(bundle: string): Promise<void> {
  for (let pids = await naming(bundle); pids.length > 0; pids = await naming(bundle)) {
    for (const pid of pids) killQuietly(pid);
    await wait(PAUSE_MS);
  }
}

async function naming(bundle: string): Promise<number[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const words = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")));
  return pids
    .filter((_, index) => words[index]?.includes(`${bundle}\0`) || words[index]?.includes(`${bundle}/`))
    .map(Number);
}
