/** Finds a Python of one minor version on this host, and where it lives. */
import { execFile } from "node:child_process";
import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

export interface PythonInterpreter {
  /** The interpreter itself, not a shim that chooses one. */
  readonly path: string;
  /** The folder its library belongs to; `/usr` for the system's own. */
  readonly prefix: string;
  readonly version: string;
}

const run = promisify(execFile);
const probe = "import sys; print(sys.executable, sys.base_prefix, '%d.%d.%d' % sys.version_info[:3], sep='\\n')";
const known = new Map<string, PythonInterpreter>();

/**
 * Looks for `python3.X` in `folder`, in the system's folders and on the PATH; null when none answers.
 * What was found is remembered as long as it exists, since asking an interpreter takes some 10 ms.
 */
export async function findPython(name: string, folder: string): Promise<PythonInterpreter | null> {
  const folders = [folder, "/usr/bin", "/usr/local/bin", ...(process.env.PATH ?? "").split(":")];
  for (const path of new Set(folders.map((candidate) => join(candidate, name)))) {
    try {
      await access(path, constants.X_OK);
      const found = known.get(path) ?? (await ask(path));
      if (`python${found.version}`.startsWith(`${name}.`)) {
        known.set(path, found);
        return found;
      }
    } catch {
      // Missing, or a shim without that version: the next candidate may do.
    }
  }
  return null;
}

async function ask(path: string): Promise<PythonInterpreter> {
  const { stdout } = await run(path, ["-I", "-S", "-c", probe], { timeout: 10_000 });
  const [executable, prefix, version] = stdout.trim().split("\n");
  if (!executable || !prefix || !version) throw new Error(`${path} doesn't answer as a Python does`);
  return { path: executable, prefix, version };
}
