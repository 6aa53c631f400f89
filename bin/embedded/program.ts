/** Asking a program on this machine which version it is, and finding one on PATH. */
import { execFile } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { delimiter, isAbsolute, join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/**
 * What `program --version` calls itself, as `2.14.5`. That it answers is also the proof that it runs
 * here: right architecture, libraries present.
 * @throws Error with the program's own words when it doesn't run or names no version
 */
export async function programVersion(program: string): Promise<string> {
  const { stdout, stderr } = await run(program, ["--version"], { timeout: 10_000 });
  const version = /\d+\.\d+\.\d+/.exec(stdout || stderr)?.[0];
  if (!version) throw new Error(`${program} --version names no version: ${(stdout || stderr).trim().slice(0, 200)}`);
  return version;
}

/** The first executable of that name on PATH, as an absolute path. Empty and relative entries are ignored. */
export async function onPath(name: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  for (const folder of (env.PATH ?? "").split(delimiter).filter(isAbsolute)) {
    const candidate = join(folder, name);
    try {
      await access(candidate, constants.X_OK);
      return candidate;
    } catch {}
  }
  return undefined;
}
