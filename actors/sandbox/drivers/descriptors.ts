/**
 * Descriptors the worker inherited from whatever started it, and which every child of its would inherit in turn.
 *
 * Node marks all it opens as not inheritable, and at its start the low-numbered ones it was given; higher ones slip
 * through (a shell's pipe, an editor's socket) and bubblewrap hands them on to the program inside.
 */
import { closeSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";

const O_CLOEXEC = 0o2000000;

/** Closes every descriptor above 2 that a child would inherit. Returns their numbers. */
export async function closeInheritable(): Promise<number[]> {
  const numbers = (await readdir("/proc/self/fd")).map(Number).filter((fd) => fd > 2);
  const closed: number[] = [];
  for (const fd of numbers) {
    const info = await readFile(`/proc/self/fdinfo/${fd}`, "utf8").catch(() => undefined);
    const flags = Number.parseInt(/^flags:\s*(\d+)/m.exec(info ?? "")?.[1] ?? "", 8);
    if (Number.isNaN(flags) || (flags & O_CLOEXEC) !== 0) continue;
    closeSync(fd);
    closed.push(fd);
  }
  return closed;
}
