/** Puts runtimes into Mayfly's home and takes them out again: folders that somebody made, and Pythons from elsewhere. */
import { cp, lstat, mkdir, mkdtemp, rename, rm, stat, symlink } from "node:fs/promises";
import { join, resolve } from "node:path";
import { installedFolder, isKnown, knownRuntimes, type ResolvedRuntime, resolveRuntime } from "./catalogue.ts";
import { RuntimePackageUnfit, readRuntimePackage } from "./package.ts";

/** It can't be installed or removed as asked; `remedy` says what could be done. */
export class RuntimeInUse extends Error {
  override readonly name = "RuntimeInUse";
  readonly remedy: string;

  constructor(message: string, remedy: string) {
    super(message);
    this.remedy = remedy;
  }
}

interface Added {
  readonly runtime: string;
  readonly resolved: ResolvedRuntime;
}

/**
 * Copies a runtime's folder into the home, whole or not at all. Throws `RuntimePackageUnfit`, `RuntimeInUse` when there is
 * one of its name, and `RuntimeNotInstalled` when it is for other processors.
 */
export async function addRuntime(folder: string, home: string): Promise<Added> {
  const { name } = await readRuntimePackage(resolve(folder));
  if (isKnown(name)) throw new RuntimePackageUnfit(`${name} is the name of one of Mayfly's own runtimes`);
  await refuseSecond(name, home);
  await inOneStep(name, home, (draft) => cp(resolve(folder), draft, { recursive: true, verbatimSymlinks: true }));
  return settled(name, home);
}

/** Lets a Python of another folder be used: it stays where it is. Throws `RuntimeInUse`, or `RuntimeNotInstalled`. */
export async function addPython(runtime: string, prefix: string, home: string): Promise<Added> {
  if (!runtime.startsWith("python") || !knownRuntimes.includes(runtime))
    throw new RuntimePackageUnfit(`${runtime} is no Python that Mayfly knows; only those have a prefix`);
  const isThere = await stat(join(prefix, "bin", runtime)).then(
    (facts) => facts.isFile(),
    () => false,
  );
  if (!isThere) throw new RuntimePackageUnfit(`${join(resolve(prefix), "bin", runtime)} is missing`);
  await refuseSecond(runtime, home);
  await inOneStep(runtime, home, (draft) => symlink(resolve(prefix), draft));
  return settled(runtime, home);
}

/** Throws `RuntimeInUse` for what isn't in the home, because it comes with Mayfly or with the host. */
export async function removeRuntime(runtime: string, home: string): Promise<void> {
  if (!(await isInstalled(runtime, home)))
    throw new RuntimeInUse(
      `${runtime} is not installed in ${join(home, "runtimes")}`,
      "What comes with Mayfly or with the system stays: mayfly runtime ls",
    );
  // Out of sight first: nobody boots half of it.
  const gone = await mkdtemp(join(home, "runtimes", ".removing-"));
  await rename(installedFolder(home, runtime), join(gone, "runtime"));
  await rm(gone, { recursive: true, force: true });
}

async function refuseSecond(runtime: string, home: string): Promise<void> {
  if (await isInstalled(runtime, home))
    throw new RuntimeInUse(`${runtime} is installed already`, `Remove it first: mayfly runtime rm ${runtime}`);
}

const isInstalled = (runtime: string, home: string): Promise<boolean> =>
  /^[a-z][a-z0-9._-]*$/.test(runtime)
    ? lstat(installedFolder(home, runtime)).then(
        () => true,
        () => false,
      )
    : Promise.resolve(false);

async function inOneStep(runtime: string, home: string, fill: (draft: string) => Promise<unknown>): Promise<void> {
  await mkdir(join(home, "runtimes"), { recursive: true });
  const draft = await mkdtemp(join(home, "runtimes", ".installing-"));
  try {
    await fill(join(draft, "runtime"));
    await rename(join(draft, "runtime"), installedFolder(home, runtime));
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/** What can't be booted here isn't left behind. */
async function settled(runtime: string, home: string): Promise<Added> {
  try {
    return { runtime, resolved: await resolveRuntime(runtime, { home }) };
  } catch (error) {
    await removeRuntime(runtime, home);
    throw error;
  }
}
