/**
 * What a running Mayfly says of itself in its home: where it is, so that commands and scripts find it, and who it is, so
 * that `down` ends the right process.
 */
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { Home } from "./embedded/home.ts";
import { writePrivately } from "./embedded/private-file.ts";
import { isAlive } from "./embedded/process-identity.ts";

const RunFile = z.object({
  url: z.string(),
  /** The process, unmistakably: a reused pid is not taken for it. */
  process: z.object({ pid: z.number(), startedAt: z.string() }),
  /** Epoch ms. */
  startedAt: z.number(),
  zones: z.array(z.string()),
  /** Of the components; the home is readable by its owner alone. */
  user: z.string().optional(),
  password: z.string().optional(),
});
export type RunFile = z.infer<typeof RunFile>;

const fileOf = (home: Home): string => join(home.run, "mayfly.json");

export const writeRunFile = (home: Home, run: RunFile): Promise<void> =>
  writePrivately(fileOf(home), `${JSON.stringify(run, null, 2)}\n`);

export const removeRunFile = (home: Home): Promise<void> => rm(fileOf(home), { force: true });

/** The running Mayfly of this home, or `undefined` when none runs (also when the last one was killed). */
export async function readRunFile(home: Home): Promise<RunFile | undefined> {
  const text = await readFile(fileOf(home), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const parsed = RunFile.safeParse(JSON.parse(text));
  return parsed.success && (await isAlive(parsed.data.process)) ? parsed.data : undefined;
}
