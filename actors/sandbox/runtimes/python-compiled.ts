/**
 * Our part of a Python runtime, compiled for one interpreter: a sandbox sees it read-only, so each would compile it again,
 * which is a fifth of what the start of one computes.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { access, chmod, cp, mkdir, mkdtemp, readdir, readFile, rename, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import type { PythonInterpreter } from "./python-interpreter.ts";

const run = promisify(execFile);
const CACHE = "__pycache__";
/** Where a sandbox sees it, which is what its tracebacks tell. */
const SEEN_AT = "/var/runtime";
/** What is started. Python never looks for what it once made of that, so it is to be started compiled. */
const SCRIPT = "bootstrap.py";
/** The same where it is compiled, beside it. */
export const COMPILED_SCRIPT = "bootstrap.pyc";

/** By place: whoever asks meanwhile waits for the same. */
const coming = new Map<string, Promise<string>>();

/**
 * A copy of `sources` below `folder` with what `python` makes of it; `sources` itself where that can't be had. Made once
 * for each content and version, whole under its name, and never changed.
 */
export async function compiled(python: PythonInterpreter, sources: string, folder: string): Promise<string> {
  const place = join(folder, `python-${python.version}-${await digest(sources)}`);
  const made = coming.get(place) ?? make(python, sources, folder, place).finally(() => coming.delete(place));
  coming.set(place, made);
  return made.catch(() => sources);
}

async function make(python: PythonInterpreter, sources: string, folder: string, place: string): Promise<string> {
  if (await isThere(place)) return place;
  await mkdir(folder, { recursive: true });
  const draft = await mkdtemp(join(folder, ".draft-"));
  try {
    const content = join(draft, "content");
    await cp(sources, content, { recursive: true, filter: (from) => basename(from) !== CACHE });
    // The sources beside them never change: they needn't be looked at to know that.
    const options = ["-q", "--invalidation-mode", "unchecked-hash", "-s", content, "-p", SEEN_AT];
    for (const which of [[content], ["-b", join(content, SCRIPT)]]) {
      await run(python.path, ["-I", "-S", "-m", "compileall", ...options, ...which], { timeout: 30_000 });
    }
    await chmod(content, 0o755);
    // Another worker of this home may have been faster.
    await rename(content, place).catch(async (error) => {
      if (!(await isThere(place))) throw error;
    });
    return place;
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

async function digest(sources: string): Promise<string> {
  const entries = await readdir(sources, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile() && basename(entry.parentPath) !== CACHE)
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  const hash = createHash("sha256");
  for (const file of files)
    hash
      .update(`${file.slice(sources.length)}\0`)
      .update(await readFile(file))
      .update("\0");
  return hash.digest("hex").slice(0, 16);
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
