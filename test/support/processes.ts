/** The processes of one system, found by its home: on a machine with several, none is taken for another's. */
import { readdir, readFile } from "node:fs/promises";
import type { Home } from "../../bin/embedded/home.ts";

/** The pids of those whose command line has all the words: with none, all of the system's processes. */
export async function pidsOf({ root }: Home, ...words: string[]): Promise<number[]> {
  const found = await Promise.all(
    (await allPids()).map(async (pid) => {
      const read = async (file: string) => (await readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "")).split("\0");
      const command = await read("cmdline");
      const ours = [...command, ...(await read("environ"))].some(
        (word) => word === `MAYFLY_HOME=${root}` || word.includes(`${root}/`),
      );
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

/** As if the power had gone: nobody of them gets to say anything. */
export async function killAll(home: Home): Promise<void> {
  for (let alive = await pidsOf(home); alive.length > 0; alive = await pidsOf(home)) {
    for (const pid of alive) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It has ended by itself meanwhile.
      }
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const allPids = async (): Promise<number[]> =>
  (await readdir("/proc"))
    .filter((each) => /^\d+$/.test(each))
    .map(Number)
    .filter((pid) => pid !== process.pid);
