/** What a kernel in user space keeps to itself is asked inside of it, by a process that the runtime starts there. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { isCalledIn } from "../callers.ts";
import type { FoundRuntime } from "./runtimes.ts";

const run = promisify(execFile);

/** One that is frozen doesn't answer. */
const ANSWER_MS = 5000;

/** Without any program: there need be none but a shell. */
const SHOW = "while IFS= read -r line; do printf '%s\\n' \"$line\"; done < /proc/net/tcp";

/** As `isCalledAt` of the driver; nobody it is where that can't be asked. `root` is the runtime's, where it runs as `id`. */
export async function isCalledWithin(
  { command: [program = "", ...args] }: FoundRuntime,
  { root, id }: { readonly root: string; readonly id: string },
  port: number,
): Promise<boolean> {
  // As root inside, without any capability: nobody of the sandbox's own may touch it.
  const words = [...args, "--root", root, "exec", "--cwd", "/", id, "/bin/sh", "-c", SHOW];
  const options = {
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
    cwd: "/",
    timeout: ANSWER_MS,
    killSignal: "SIGKILL",
  } as const;
  const { stdout } = await run(program, words, options).catch(() => ({ stdout: "" }));
  return isCalledIn(stdout, port);
}
