/** Who belongs to one running system: every process that was given its home. */
import { readdir, readFile } from "node:fs/promises";
import type { Home } from "../../bin/embedded/home.ts";

export async function processesOf({ root }: Home): Promise<number[]> {
  const pids = (await readdir("/proc")).filter((each) => /^\d+$/.test(each) && Number(each) !== process.pid);
  const ours = await Promise.all(
    pids.map(async (pid) => {
      const read = (file: string) => readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "");
      const words = [...(await read("cmdline")).split("\0"), ...(await read("environ")).split("\0")];
      return words.some((word) => word === `MAYFLY_HOME=${root}` || word.includes(`${root}/`)) ? [Number(pid)] : [];
    }),
  );
  return ours.flat();
}

/** As if the power had gone: nobody of them gets to say anything. */
export async function killAll(home: Home): Promise<void> {
  for (let alive = await processesOf(home); alive.length > 0; alive = await processesOf(home)) {
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
