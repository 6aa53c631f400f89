/** Runs nft, on the host's rules or on those of another network namespace. */
import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";

export interface NetTools {
  readonly nft: string;
  readonly nsenter: string;
}

/** Applies `rules` as a whole or not at all, in the network namespace open as descriptor `namespace`, or in our own. */
export async function applyRules({ nft, nsenter }: NetTools, rules: string, namespace?: number): Promise<void> {
  const command = namespace === undefined ? [nft, "-f", "-"] : [nsenter, "--net=/proc/self/fd/3", "--", nft, "-f", "-"];
  const [program = "", ...args] = command;
  const child = spawn(program, args, {
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
    stdio: ["pipe", "ignore", "pipe", ...(namespace === undefined ? [] : [namespace])],
  });
  const ended = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", (code, signal) => resolve(code === 0 ? "" : (signal ?? `exit status ${code}`)));
  });
  child.stdin?.on("error", () => {});
  child.stdin?.end(rules);
  const [complaint, failure] = await Promise.all([child.stderr ? text(child.stderr) : "", ended]);
  if (failure !== "") throw new Error(`nft: ${complaint.split("\n")[0] || failure}`);
}
