/**
 * Tying a program's life to ours: it ends when we end, also when we are killed without a word.
 *
 * Where util-linux' `setpriv` is, the kernel does it (PR_SET_PDEATHSIG) and no process more is
 * needed. Elsewhere a shell stays between us and the program and reads from a pipe that we hold;
 * the pipe's end is our end.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface Tethered {
  readonly command: string;
  readonly args: readonly string[];
  readonly how: "parent-death signal" | "guarding shell";
}

/**
 * What to spawn, in a process group of its own and with a pipe as standard input, for `command`
 * to get SIGTERM when this process ends. Spawn it from the main thread: the kernel means the thread
 * by "parent".
 */
export async function tether(command: string, args: readonly string[]): Promise<Tethered> {
  if (await hasDeathSignal()) {
    // We may die between fork and setpriv; then the shell finds another parent than the one it was told.
    const check = '[ "$PPID" = "$0" ] || exit 143; exec "$@"';
    return {
      command: "setpriv",
      args: ["--pdeathsig", "TERM", "sh", "-c", check, String(process.pid), command, ...args],
      how: "parent-death signal",
    };
  }
  return { command: "sh", args: ["-c", guard, "mayfly-guard", command, ...args], how: "guarding shell" };
}

// Descriptor 3 is the pipe, because a shell gives background jobs /dev/null as standard input.
const guard = `
exec 3<&0
"$@" 3<&- & program=$!
(read -r _ <&3; kill -TERM $program) & watch=$!
trap 'kill -TERM $program' TERM INT
wait $program; code=$?
while kill -0 $program 2>/dev/null; do wait $program; code=$?; done
kill $watch 2>/dev/null
exit $code`;

let known: Promise<boolean> | undefined;

/** BusyBox has a `setpriv` without this option, hence the try. */
function hasDeathSignal(): Promise<boolean> {
  known ??= run("setpriv", ["--pdeathsig", "TERM", "true"]).then(
    () => true,
    () => false,
  );
  return known;
}
