/** What bubblewrap's sandboxes are made with, beside what every driver needs: the programs, and the filter as a file. */
import { chmod, copyFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { findProgram } from "../find-program.ts";
import type { Premises } from "../premises.ts";
import { seccompFilter } from "../seccomp/policy.ts";
import { isReachableByAll } from "../staging.ts";

export interface Tools {
  readonly bwrap: {
    readonly path: string;
    readonly version: string;
    /** A function could change its mode, so that this worker can start no more sandboxes. */
    readonly isTheirs: boolean;
  };
  /** util-linux's, undefined where it is missing. */
  readonly prlimit: string | undefined;
  readonly seccompFile: string;
}

/** Lays out the tools in `premises`. */
export async function layOut(bwrap: { path: string; version: string }, premises: Premises): Promise<Tools> {
  const seccompFile = join(premises.folder, "seccomp");
  await writeFile(seccompFile, seccompFilter(premises.architecture));
  const { path, isTheirs } = await startable(bwrap.path, premises);
  const program = { path, version: bwrap.version, isTheirs };
  return { bwrap: program, prlimit: await findProgram("prlimit"), seccompFile };
}

/**
 * A path at which sandboxes' users may start bubblewrap and not harm it. A user of its own can't walk to one in root's
 * folders. The worker's own user could change one that belongs to it: bubblewrap is the first process inside, and a
 * file's owner may change its mode by way of /proc/1/exe, unless it was started from a place that can't be written.
 */
async function startable(
  program: string,
  { uids, staging, folder }: Pick<Premises, "uids" | "staging" | "folder">,
): Promise<{ path: string; isTheirs: boolean }> {
  const isTheirs = !uids && (await stat(program)).uid === process.geteuid?.();
  if (!isTheirs && (!uids || isReachableByAll(program))) return { path: program, isTheirs };
  if (staging) return { path: (await staging.hold(program)).path, isTheirs: false };
  const copy = join(folder, "bwrap");
  await copyFile(program, copy);
  await chmod(copy, 0o755);
  return { path: copy, isTheirs };
}
