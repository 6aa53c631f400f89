/** The processes of one system, found by its home: on a machine with several, none is taken for another's. */
import { readdir, readFile } from "node:fs/promises";
import type { Home } from "../../bin/embedded/home.ts";

/** The pids of those whose command line has all the words. */
export async function pidsOf(home: Home, ...words: string[]): Promise<number[]> {
  const found = await Promise.all(
    (await allPids()).map(async (pid) => {
      const command = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0");
      const environment = await readFile(`/proc/${pid}/environ`, "utf8").catch(() => "");
      const ours = environment.includes(`MAYFLY_HOME=${home.root}`) || command.some((word) => word.includes(home.root));
      return ours && words.every((word) => command.some((each) => each.endsWith(word))) ? [pid] : [];
    }),
  );
  return found.flat();
}

/** Children, their children, and so on. */
export async function descendantsOf(pids: readonly number[]): Promise<number[]> {
  const parents = new Map<number, number>();
  for (const pid of await allPids()) {
    const parent = /PPid:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, "utf8").catch(() => ""))?.[1];
    parents.set(pid, Number(parent));
  }
  const isBelow = (pid: number): boolean => {
    const parent = parents.get(pid) ?? 0;
    return parent > 1 && (pids.includes(parent) || isBelow(parent));
  };
  return [...parents.keys()].filter(isBelow);
}

/** With SIGKILL. Throws when there is no such process. */
export async function kill(home: Home, ...words: string[]): Promise<void> {
  const [pid] = await pidsOf(home, ...words);
  if (pid === undefined) throw new Error(`no process with ${words.join(" ")}`);
  process.kill(pid, "SIGKILL");
}

const allPids = async (): Promise<number[]> =>
  (await readdir("/proc")).filter((each) => /^\d+$/.test(each)).map(Number);
