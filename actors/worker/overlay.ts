/**
 * Lays one unpacked layer over others: what it holds replaces what they have under the same name, folders are joined.
 * Files are linked, not copied, so that layers in many sets are on the disk, and in memory, once.
 */
import { chmod, link, lstat, mkdir, readdir, readlink, rm, symlink } from "node:fs/promises";
import { join } from "node:path";

const FOLDER_MODE = 0o755;

/** Both on one file system; nobody else writes in `to`. */
export async function overlay(layer: string, to: string): Promise<void> {
  for (const entry of await readdir(layer, { withFileTypes: true })) {
    const [from, place] = [join(layer, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) {
      await replacing(place, () => mkdir(place), true);
      await chmod(place, FOLDER_MODE);
      await overlay(from, place);
    } else if (entry.isSymbolicLink()) {
      const target = await readlink(from);
      await replacing(place, () => symlink(target, place), false);
    } else await replacing(place, () => link(from, place), false);
  }
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
