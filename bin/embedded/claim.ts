/**
 * A claim on something only one process may use at a time, as a home. A holder that died, however,
 * loses its claim: the next one sees that nobody with that number and start time lives.
 *
 * A claim is the file `<name>.<n>` with the highest n. It is taken by creating n + 1, which the file
 * system grants to one process only, and it is given back by emptying it, not by removing it: so the
 * highest number never falls, and who acts on an old look at the folder finds a higher one.
 */
import { randomUUID } from "node:crypto";
import { link, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { identify, isAlive, type ProcessIdentity } from "./process-identity.ts";

export interface Claim {
  /** Gives it back; may be called again. */
  release(): Promise<void>;
}

/** Someone else is using it; `holder` is that process's id. */
export class AlreadyClaimed extends Error {
  override readonly name = "AlreadyClaimed";
  readonly holder: number;
  constructor(name: string, holder: number) {
    super(`process ${holder} holds ${name}`);
    this.holder = holder;
  }
}

/**
 * Claims for this process; `name` is a path whose folder exists.
 * @throws AlreadyClaimed while the holder lives, also when that is this very process
 */
export async function claim(name: string): Promise<Claim> {
  const mine = `${name}.${randomUUID()}`;
  await writeFile(mine, JSON.stringify(await identify(process.pid)), { mode: 0o600 });
  try {
    for (;;) {
      const highest = (await numbers(name)).at(-1) ?? 0;
      const holder = await holderOf(`${name}.${highest}`);
      if (holder && (await isAlive(holder))) throw new AlreadyClaimed(name, holder.pid);
      // `link` makes the name together with its content: nobody sees half a claim.
      const next = highest + 1;
      if (!(await created(mine, `${name}.${next}`))) continue;
      const now = await numbers(name);
      if (now.at(-1) === next) {
        for (const past of now) if (past < next) await rm(`${name}.${past}`, { force: true });
        return { release: () => truncate(`${name}.${next}`).catch(() => {}) };
      }
      await rm(`${name}.${next}`, { force: true });
    }
  } finally {
    await rm(mine, { force: true });
  }
}

/** All numbers in use, rising. */
async function numbers(name: string): Promise<number[]> {
  const prefix = `${basename(name)}.`;
  const files = (await readdir(dirname(name))).filter((file) => file.startsWith(prefix));
  const found = files.map((file) => file.slice(prefix.length)).filter((rest) => /^\d+$/.test(rest));
  return found.map(Number).sort((a, b) => a - b);
}

async function created(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** Undefined when it was given back, or is damaged. */
async function holderOf(file: string): Promise<ProcessIdentity | undefined> {
  try {
    const { pid, startedAt } = JSON.parse(await readFile(file, "utf8")) as Partial<ProcessIdentity>;
    return pid && startedAt ? { pid, startedAt } : undefined;
  } catch {
    return undefined;
  }
}
