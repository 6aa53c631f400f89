/**
 * The home's fetched programs: `tools/<name>-<version>/<name>`, whole or not there at all.
 *
 * Fetching happens on a workbench folder beside them; one rename puts the finished program on the
 * shelf. So two starts at once do no harm, and what a killed one left half-done is never used.
 */
import { randomUUID } from "node:crypto";
import { chmod, mkdir, readdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { compareVersions } from "../../config/nats/features.ts";
import { identify } from "./process-identity.ts";
import { programVersion } from "./program.ts";

export interface Shelved {
  readonly path: string;
  readonly version: string;
}

const benchPrefix = ".bench-";

/** The newest program of that name on the shelf that runs here. */
export async function newestOnShelf(tools: string, name: string): Promise<Shelved | undefined> {
  const folders = (await readdir(tools).catch(() => [])).filter((folder) => folder.startsWith(`${name}-`));
  for (const folder of folders.sort(compareVersions).reverse()) {
    const path = join(tools, folder, name);
    const version = await programVersion(path).catch(() => undefined);
    if (version) return { path, version };
  }
  return undefined;
}

/**
 * Lends an empty folder on the shelf's file system and removes it afterwards, together with those
 * of fetchers that died.
 */
export async function onWorkbench<Result>(tools: string, work: (bench: string) => Promise<Result>): Promise<Result> {
  await mkdir(tools, { recursive: true, mode: 0o700 });
  await removeAbandoned(tools);
  const bench = join(tools, `${benchPrefix}${process.pid}-${randomUUID()}`);
  await mkdir(bench, { mode: 0o700 });
  try {
    return await work(bench);
  } finally {
    await rm(bench, { recursive: true, force: true });
  }
}

/**
 * Puts a program from the bench on the shelf, after seeing it run. If another start shelved the same
 * version meanwhile, that one is taken.
 * @throws Error when it doesn't run
 */
export async function shelve(tools: string, name: string, program: string): Promise<Shelved> {
  await chmod(program, 0o755);
  const version = await programVersion(program);
  const box = join(dirname(program), `box-${randomUUID()}`);
  await mkdir(box, { mode: 0o700 });
  await rename(program, join(box, name));
  const place = join(tools, `${name}-${version}`);
  const path = join(place, name);
  try {
    await rename(box, place);
  } catch (error) {
    // A folder only gives way to a rename when it is empty; what is there is whole, if it runs.
    if ((await programVersion(path).catch(() => undefined)) === version) return { path, version };
    throw error;
  }
  return { path, version };
}

async function removeAbandoned(tools: string): Promise<void> {
  for (const folder of await readdir(tools)) {
    const owner = new RegExp(`^\\${benchPrefix}(\\d+)-`).exec(folder)?.[1];
    if (owner && !(await identify(Number(owner)))) await rm(join(tools, folder), { recursive: true, force: true });
  }
}
