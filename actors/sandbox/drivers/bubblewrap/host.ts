/** Finds the bubblewrap of this host. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { IsolationUnavailable } from "../driver.ts";
import { findProgram } from "../find-program.ts";

const run = promisify(execFile);

/** Options that came last of all we use; a bubblewrap that has them has the rest (0.8.0 does). */
const youngestOptions = ["--disable-userns", "--size"];

export const installRemedy =
  "Install bubblewrap 0.8 or newer (apt install bubblewrap, dnf install bubblewrap, apk add bubblewrap), or name one with bwrapPath.";

/** A bubblewrap new enough, and its version. Throws `IsolationUnavailable`. */
export async function findBubblewrap(given?: string): Promise<{ path: string; version: string }> {
  const path = await findProgram("bwrap", given);
  if (!path)
    throw new IsolationUnavailable(`bubblewrap (bwrap) was not found${given ? ` at ${given}` : ""}`, installRemedy);
  const [version, help] = await Promise.all([run(path, ["--version"]), run(path, ["--help"])]);
  const number = version.stdout.trim().split(" ").at(-1) ?? "unknown";
  const missing = youngestOptions.filter((option) => !help.stdout.includes(option));
  if (missing.length > 0) {
    throw new IsolationUnavailable(
      `bubblewrap ${number} at ${path} is too old: no ${missing.join(", ")}`,
      installRemedy,
    );
  }
  return { path, version: number };
}
