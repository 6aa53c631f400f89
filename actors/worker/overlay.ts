/**
 * Lays one unpacked layer over others: what it holds replaces what they have under the same name, folders are joined.
 * Files are linked, not copied, so that layers in many sets are on the disk, and in memory, once.
 */
import type { Dirent } from "node:fs";
import { chmod, link, lstat, mkdir, readdir, readlink, rm, symlink } from "node:fs/promises";
import { join } from "node:path";

const FOLDER_MODE = 0o755;

/** Both on one file system; nobody else writes in `to`. */
export async function overlay(layer: string, to: string): Promise<void> {
  const entries = await readdir(layer, { withFileTypes: true });
  const folders = entries.filter((entry) => entry.isDirectory());
  await Promise.all(entries.filter((entry) => !entry.isDirectory()).map((entry) => lay(entry, layer, to)));
  for (const { name } of folders) {
    const place = join(to, name);
    await replacing(place, () => mkdir(place), true);
    await chmod(place, FOLDER_MODE);
    await overlay(join(layer, name), place);
  }
}

async function lay(entry: Dirent, layer: string, to: string): Promise<void> {
  const [from, place] = [join(layer, entry.name), join(to, entry.name)];
  if (!entry.isSymbolicLink()) return replacing(place, () => link(from, place), false);
  const target = await readlink(from);
  return replacing(place, () => symlink(target, place), false);
}

/** Makes something at a place, where an earlier layer may have something else. A link there is never followed. */
async function replacing(place: string, make: () => Promise<unknown>, joins: boolean): Promise<void> {
  try {
    await make();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    if (joins && (await lstat(place)).isDirectory()) return;
    await rm(place, { recursive: true });
    await make();
  }
}
