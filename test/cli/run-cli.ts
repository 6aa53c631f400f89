/** Runs `mayfly` as a person does: the launcher, in a process of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

export const launcher = fileURLToPath(new URL("../../bin/mayfly.js", import.meta.url));

export interface Ran {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  /** Default: the Node.js that runs the tests. */
  readonly node?: string;
}

/** Nothing of the tester's own Mayfly reaches the command. */
export function environment(given: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith("MAYFLY_") && !name.startsWith("NATS_"));
  return { ...Object.fromEntries(own), NO_COLOR: "1", ...given };
}

export function startCli(args: readonly string[], { env, node = process.execPath }: RunOptions = {}): ChildProcess {
  return spawn(node, [launcher, ...args], { env: environment(env), stdio: "pipe" });
}

export async function runCli(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const child = startCli(args, options);
  child.stdin?.end(options.input ?? "");
  const ended = new Promise<Pick<Ran, "code" | "signal">>((resolve) => {
    child.once("close", (code, signal) => resolve({ code, signal }));
  });
  const [stdout, stderr] = await Promise.all([text(child.stdout!), text(child.stderr!)]);
  return { ...(await ended), stdout, stderr };
}
