/** Finds on the host what sandboxes are made from and with. */
import { execFile } from "node:child_process";
import { access, constants, lstat, readdir, readlink, stat } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { IsolationUnavailable } from "../driver.ts";
import { makeEtc } from "./etc.ts";
import { type HostFacts, tellingFiles, tellingFolders } from "./profile.ts";

const run = promisify(execFile);

/** Options that came last of all we use; a bubblewrap that has them has the rest (0.8.0 does). */
const youngestOptions = ["--disable-userns", "--size"];

export const installRemedy =
  "Install bubblewrap 0.8 or newer (apt install bubblewrap, dnf install bubblewrap, apk add bubblewrap), or name one with bwrapPath.";

/** The absolute path of a program: `given`, or the first of that name on PATH. Undefined when there is none. */
export async function findProgram(name: string, given?: string): Promise<string | undefined> {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
  for (const path of given ? [given] : folders.filter(Boolean).map((folder) => join(folder, name))) {
    if (await isExecutable(path)) return path;
  }
  return undefined;
}

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

/**
 * Looks at the host and writes the sandboxes' /etc into `etc`. With `asRoot`, sandboxes run as the host's root, for
 * whom no file's mode is an obstacle; else only what others may read needs a mask, and each mask costs 0.1 ms a boot.
 */
export async function lookAround(etc: string, asRoot: boolean): Promise<HostFacts> {
  const topLevel = new Map<string, string | null>();
  for (const name of ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store"]) {
    const found = await lstat(name).catch(() => undefined);
    if (found?.isSymbolicLink()) topLevel.set(name, await readlink(name));
    else if (found) topLevel.set(name, null);
  }
  const isSeen = async (path: string) => {
    const found = await stat(path).catch(() => undefined);
    if (!found || !(asRoot || (found.mode & 0o004) !== 0)) return false;
    return !found.isDirectory() || (await readdir(path)).length > 0;
  };
  const seen = async (names: readonly string[]) => {
    const paths = names.map((name) => `/proc/${name}`);
    const answers = await Promise.all(paths.map(isSeen));
    return paths.filter((_, index) => answers[index]);
  };
  return {
    etc,
    etcFromHost: await makeEtc(etc),
    topLevel,
    maskedFiles: await seen(tellingFiles),
    maskedFolders: await seen(tellingFolders),
  };
}

const isExecutable = (path: string): Promise<boolean> =>
  access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
