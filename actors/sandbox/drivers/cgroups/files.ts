/** Reading, writing and removing the files and folders the kernel shows groups as. */
import { writeFileSync } from "node:fs";
import { access, readFile, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";

export const put = (folder: string, file: string, value: string | number): Promise<void> =>
  writeFile(join(folder, file), String(value));

/**
 * The same before anything else goes on: for a limit, which takes the kernel some microseconds, and three turns of other
 * threads a tenth of what a start takes.
 */
export async function putNow(folder: string, file: string, value: string | number): Promise<void> {
  writeFileSync(join(folder, file), String(value));
}

export const has = (folder: string, file: string): Promise<boolean> =>
  access(join(folder, file)).then(
    () => true,
    () => false,
  );

/** A file's only number; 0 when the file isn't there or says "max". */
export async function readNumber(folder: string, file: string): Promise<number> {
  const text = await readFile(join(folder, file), "utf8").catch(() => "0");
  return Number.parseInt(text, 10) || 0;
}

/** The number behind `key` in a file of `key value` lines; 0 when there is none. */
export async function readKey(folder: string, file: string, key: string): Promise<number> {
  const text = await readFile(join(folder, file), "utf8").catch(() => "");
  const line = text.split("\n").find((each) => each.startsWith(`${key} `));
  return Number(line?.slice(key.length + 1) ?? 0);
}

/** One that is no process of this pid namespace, or none any more, stands there as 0: to a signal that would be our own group. */
export async function processesIn(folder: string): Promise<number[]> {
  const text = await readFile(join(folder, "cgroup.procs"), "utf8").catch(() => "");
  return text.split("\n").map(Number).filter(Boolean);
}

/**
 * Kills what is in the group and removes its folder, for as long as it takes processes to die. One that is already
 * gone counts as removed.
 */
export async function removeGroup(folder: string): Promise<void> {
  for (let tried = 0; ; tried++) {
    for (const pid of await processesIn(folder)) killQuietly(pid);
    try {
      return await rmdir(folder);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === "ENOENT") return;
      if (code !== "EBUSY" || tried === 100) throw error;
      await wait(Math.min(2 ** tried, 20));
    }
  }
}

/** Sends SIGKILL; a process that is gone already is as good. */
export function killQuietly(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // ESRCH: somebody was faster.
  }
}
