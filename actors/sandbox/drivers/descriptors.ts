/**
 * Descriptors the worker inherited from whatever started it, and which every child of its would inherit in turn.
 *
 * Node marks all it opens as not inheritable, and at its start the low-numbered ones it was given; higher ones slip
 * through (a shell's pipe, an editor's socket) and bubblewrap hands them on to the program inside.
 */
import { closeSync, readdirSync, readFileSync } from "node:fs";

const O_CLOEXEC = 0o2000000;

/**
 * Closes every descriptor above 2 that a child would inherit. Returns their numbers. In one go: between a look and a close
 * the number could have become somebody else's.
 */
export function closeInheritable(): number[] {
  const numbers = readdirSync("/proc/self/fd").map(Number);
  const inherited = numbers.filter((fd) => fd > 2 && isInheritable(fd));
  for (const fd of inherited) closeSync(fd);
  return inherited;
}

function isInheritable(fd: number): boolean {
  try {
    const flags = /^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1];
    return flags !== undefined && (Number.parseInt(flags, 8) & O_CLOEXEC) === 0;
  } catch {
    // The one that the folder was read by.
    return false;
  }
}
