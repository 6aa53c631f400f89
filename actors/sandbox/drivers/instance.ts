/**
 * The name of one driver's life on this host, by which everything it leaves behind can be told from a living one's.
 *
 * Cgroups and folders carry the name, and so does the command line of every sandbox's first process. It says which
 * process owns them (pid and its start time, so that a reused pid is not mistaken for it) as seen from which pid
 * namespace, because pids of another container mean nothing here.
 */
import { readFile, readlink } from "node:fs/promises";

const pattern = /^mayfly-(\d+)-(\d+)-(\d+)-\d+$/;

let made = 0;

/** A name no other driver on this host has or had. */
export async function newInstanceName(): Promise<string> {
  made += 1;
  // Now: others ask while this one waits.
  const number = made;
  return `mayfly-${await pidNamespace()}-${process.pid}-${await startedAtTick(process.pid)}-${number}`;
}

/** Whether `name` is an instance whose owner is certainly gone. False for foreign names and when in doubt. */
export async function isLeftover(name: string): Promise<boolean> {
  const [, namespace, pid, tick] = pattern.exec(name) ?? [];
  if (namespace === undefined || namespace !== (await pidNamespace())) return false;
  try {
    return (await startedAtTick(Number(pid))) !== tick;
  } catch (error) {
    // Any other failure, such as want of descriptors, says nothing about the owner.
    return ["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "") && !isThere(Number(pid));
  }
}

/** Where processes of other users are hidden, /proc alone doesn't tell. */
function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

/** The number of the pid namespace this process lives in. */
async function pidNamespace(): Promise<string> {
  return (await readlink("/proc/self/ns/pid")).replace(/\D/g, "");
}

/**
 * When process `pid` began, in the kernel's ticks since the machine started. Rejects with ENOENT or ESRCH when there is
 * none.
 */
async function startedAtTick(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  // The second field is the program's name and may hold spaces and brackets; the start time is the 20th after it.
  const tick = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  if (tick === undefined) throw new Error(`/proc/${pid}/stat can't be read: ${JSON.stringify(stat)}`);
  return tick;
}
