/** A program run as our child: its end told, its last words kept, its stop sure. */
import { spawn } from "node:child_process";
import { tether } from "./tether.ts";

export interface Exit {
  /** Null when a signal ended it, or when it couldn't be started. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface TetheredChild {
  /** The end of what it said on standard error. */
  lastWords(): string;
  readonly exited: Promise<Exit>;
  /** SIGTERM, and SIGKILL to it and its children if it is still there after `graceMs`. Resolves when it is gone. */
  stop(graceMs: number): Promise<void>;
}

const keptCharacters = 4000;

/** Starts the program so that it ends when we end: see `tether.ts`. */
export async function startTethered(program: string, args: readonly string[]): Promise<TetheredChild> {
  const { command, args: all } = await tether(program, args);
  // A process group of its own: Ctrl-C reaches us alone, and we decide when the child ends.
  const child = spawn(command, all, { detached: true, stdio: ["pipe", "ignore", "pipe"] });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    said = (said + chunk).slice(-keptCharacters);
  });
  let over = false;
  const exited = new Promise<Exit>((resolve) => {
    child.once("exit", (code, signal) => resolve({ code, signal }));
    child.once("error", (error) => {
      said += error.message;
      resolve({ code: null, signal: null });
    });
  }).finally(() => {
    over = true;
  });
  const signal = (name: NodeJS.Signals) => {
    if (over || child.pid === undefined) return;
    try {
      process.kill(-child.pid, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  };
  return {
    lastWords: () => said.trim(),
    exited,
    async stop(graceMs) {
      signal("SIGTERM");
      const force = setTimeout(() => signal("SIGKILL"), graceMs);
      await exited;
      clearTimeout(force);
    },
  };
}
