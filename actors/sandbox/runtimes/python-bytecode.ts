/**
 * Our part of the Python runtime, compiled. Where it lies inside nothing can be written, so that each sandbox would compile
 * it anew: that takes some 8 ms of its start, and half a megabyte that is never used again.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { access, chmod, cp, mkdir, mkdtemp, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { PythonInterpreter } from "./python-interpreter.ts";

const run = promisify(execFile);
/** By interpreter and folder: which copy it is to have; null where it can't. */
const copies = new Map<string, Promise<string | null>>();

/**
 * A copy of `source` below `folder` with what `python` makes of it, which sees it at `seenAt`. Made once for all workers of
 * a host, in the background: until there is one, and where there can't be, it is `source` itself.
 */
export async function compiledFor(
  python: PythonInterpreter,
  source: string,
  { folder, seenAt }: { readonly folder: string; readonly seenAt: string },
): Promise<string> {
  const key = `${python.path} ${python.version} ${folder}`;
  let copy = copies.get(key);
  if (copy === undefined) {
    copy = make(python, source, folder, seenAt).catch(() => null);
    copies.set(key, copy);
  }
  const made = await Promise.race([copy, null]);
  if (made === null) return source;
  if (
    await access(made).then(
      () => true,
      () => false,
    )
  )
    return made;
  copies.delete(key);
  return source;
}

/** Named after all that it is made of, so that another Mayfly or Python has another. */
async function make(python: PythonInterpreter, source: string, folder: string, seenAt: string): Promise<string> {
  const digest = createHash("sha256").update(`${python.path}\0${python.version}\0`);
  const names = (await readdir(source, { recursive: true })).filter((name) => name.endsWith(".py")).sort();
  for (const name of names) digest.update(`${name}\0`).update(await readFile(join(source, name)));
  const copy = join(folder, `python-${digest.digest("hex").slice(0, 16)}`);
  const isThere = () =>
    access(copy).then(
      () => true,
      () => false,
    );
  if (await isThere()) return copy;
  await mkdir(folder, { recursive: true });
  const draft = await mkdtemp(join(folder, ".draft-"));
  try {
    await cp(source, draft, { recursive: true, filter: (path) => !path.endsWith("__pycache__") });
    // Told apart from its source by no time or sum: neither changes.
    const options = ["-q", "--invalidation-mode", "unchecked-hash", "-s", draft, "-p", seenAt, draft];
    await run(python.path, ["-I", "-S", "-m", "compileall", ...options], { timeout: 30_000 });
    await chmod(draft, 0o755);
    await rename(draft, copy);
  } catch (error) {
    // Another worker may have been faster.
    if (!(await isThere())) throw error;
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return copy;
}
