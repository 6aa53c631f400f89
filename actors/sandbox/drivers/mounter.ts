/**
 * Runs mount and umount from a small process that stays: starting a program from the worker itself holds up everybody for
 * a millisecond or two, and a start from a stem cell has time for little else.
 *
 * The process is made when it is first needed, in the worker's own mounts, and ends with the worker.
 */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";

/** Reads the number of words and the words, one a line; answers with the exit code and what was said, as one line. */
const script = `
while read -r count; do
  set --
  while [ "$count" -gt 0 ]; do IFS= read -r word; set -- "$@" "$word"; count=$((count - 1)); done
  said=$("$@" 2>&1)
  code=$?
  [ -z "$said" ] || said=$(printf %s "$said" | tr '\\n' ' ')
  printf '%s %s\\n' $code "$said"
done
`;

type Shell = ChildProcessByStdio<Writable, Readable, null>;
type Settle = (answer: string | Error) => void;

let running: { readonly child: Shell; readonly waiting: Settle[] } | undefined;

/** Runs a command to its end. Rejects with what it said when its exit code isn't 0. */
export async function inMounts(...command: readonly string[]): Promise<void> {
  if (command.some((word) => word.includes("\n"))) throw new Error(`a path with a line feed: ${command.join(" ")}`);
  running ??= start();
  const { child, waiting } = running;
  const answer = await new Promise<string | Error>((resolve) => {
    waiting.push(resolve);
    keepAlive(child, true);
    child.stdin.write(`${command.length}\n${command.join("\n")}\n`);
  });
  if (answer instanceof Error) throw answer;
  if (!answer.startsWith("0 ")) throw new Error(`${command.join(" ")}: ${answer.slice(answer.indexOf(" ") + 1)}`);
}

function start(): NonNullable<typeof running> {
  const child = spawn("/bin/sh", ["-c", script], {
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
    cwd: "/",
    stdio: ["pipe", "pipe", "ignore"],
    // What ends the worker's process group must not end it before the worker has cleaned up.
    detached: true,
  });
  const waiting: Settle[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => {
    waiting.shift()?.(line);
    if (waiting.length === 0) keepAlive(child, false);
  });
  const ended = () => {
    if (running?.child === child) running = undefined;
    for (const settle of waiting.splice(0)) settle(new Error("the mounting process has ended"));
  };
  child.once("exit", ended);
  child.once("error", ended);
  child.stdin.on("error", () => {});
  return { child, waiting };
}

/** While somebody waits, and only then, it keeps this process from ending. */
function keepAlive(child: Shell, isNeeded: boolean): void {
  const streams = [child, child.stdin, child.stdout] as unknown as Array<{ ref?(): void; unref?(): void }>;
  for (const each of streams) {
    if (isNeeded) each.ref?.();
    else each.unref?.();
  }
}
