import { execFile } from "node:child_process";
import { chmod, readdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { findBubblewrap, oldestBubblewrap } from "../../bin/embedded/find-bubblewrap.ts";
import { ProgramMissing } from "../../bin/embedded/find-program.ts";
import { onPath } from "../../bin/embedded/program.ts";
import { compareVersions } from "../../config/nats/features.ts";
import { temporaryFolder } from "./temporary-home.ts";

const run = promisify(execFile);

async function script(folder: string, says: string): Promise<string> {
  const path = join(folder, "bwrap");
  await writeFile(path, `#!/bin/sh\necho "${says}"\n`);
  await chmod(path, 0o755);
  return path;
}

/** This machine's PATH in one folder, but without bubblewrap. */
async function pathWithoutIt(): Promise<string> {
  const folder = await temporaryFolder();
  for (const from of (process.env.PATH ?? "").split(":")) {
    for (const name of await readdir(from).catch(() => [])) {
      if (name !== "bwrap") await symlink(join(from, name), join(folder, name)).catch(() => {});
    }
  }
  return folder;
}

describe("bubblewrap", () => {
  test("is taken from MAYFLY_BWRAP before PATH", async () => {
    const [named, present] = [await temporaryFolder(), await temporaryFolder()];
    const env = { PATH: present, MAYFLY_BWRAP: await script(named, "bubblewrap 0.9.0") };
    await script(present, "bubblewrap 0.8.0");
    const found = await findBubblewrap({ tools: named, env, mayFetch: false });
    expect(found).toEqual({ path: env.MAYFLY_BWRAP, version: "0.9.0", how: "named by MAYFLY_BWRAP" });
  });

  test("that is too old isn't used, and the error has the command for each package manager", async () => {
    const PATH = await temporaryFolder();
    await script(PATH, "bubblewrap 0.4.1");
    const refusal = await findBubblewrap({ tools: PATH, env: { PATH }, mayFetch: false }).catch((e: unknown) => e);
    expect(refusal).toBeInstanceOf(ProgramMissing);
    const { message } = refusal as ProgramMissing;
    expect(message).toContain("version 0.4.1 is older than 0.8.0");
    for (const manager of ["apt-get install", "dnf install", "apk add", "pacman -S"])
      expect(message).toContain(manager);
  });

  test("comes out of the system's package without touching the system", async ({ skip }) => {
    if (!(await onPath("apt-get", process.env))) return skip("this system has no apt-get");
    const tools = await temporaryFolder();
    const { MAYFLY_BWRAP: _named, ...rest } = process.env;
    const env = { ...rest, PATH: await pathWithoutIt() };
    const installed = async () => (await run("dpkg-query", ["-W"])).stdout;
    const before = await installed();
    const found = await findBubblewrap({ tools, env }).catch((error: ProgramMissing) => error);
    if (found instanceof ProgramMissing && /resolve|connect|reach/i.test(found.message)) {
      return skip(`no mirror can be reached: ${found.tried.at(-1)}`);
    }
    if (found instanceof ProgramMissing) throw found;
    expect(found.path).toBe(join(tools, `bwrap-${found.version}`, "bwrap"));
    expect(compareVersions(found.version, oldestBubblewrap)).toBeGreaterThanOrEqual(0);
    expect(await readdir(tools)).toEqual([`bwrap-${found.version}`]);
    expect(await installed()).toBe(before);
  }, 300_000);
});
