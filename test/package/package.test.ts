/** What `npm pack` makes installs elsewhere and runs the whole system from there, as JavaScript. */
import { execFile } from "node:child_process";
import { chmod, cp, mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { packageRoot } from "../../bin/package-root.ts";
import { canIsolate } from "../sandbox/drivers/hosted.ts";

const run = promisify(execFile);
const minute = 60_000;

test("npx finds the command in a checkout", { timeout: minute }, async () => {
  const { stdout } = await run("npx", ["--no-install", "mayfly", "--help"], { cwd: packageRoot });
  expect(stdout).toContain("Usage: mayfly");
});

describe("the packed command", () => {
  let folder: string;
  /** Why it couldn't be installed. */
  let offline: string | undefined;
  const mayfly = async (...args: string[]): Promise<string> => {
    const { stdout } = await run(join(folder, "prefix/bin/mayfly"), args, {
      cwd: folder,
      env: {
        ...process.env,
        MAYFLY_HOME: join(folder, "home"),
        // The `nats` CLI's contexts lie there; the person's own stay as they are.
        XDG_CONFIG_HOME: join(folder, "config"),
      },
    });
    return stdout;
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "mayfly-package-"));
    await chmod(folder, 0o755);
    const tarball = await packed(join(folder, "checkout"));
    offline = await run("npm", [
      "install",
      "--global",
      "--prefix",
      join(folder, "prefix"),
      "--prefer-offline",
      tarball,
    ]).then(
      () => undefined,
      (error: Error) => {
        if (!/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENOTCACHED/.test(error.message)) throw error;
        return "no package registry is reachable, to install its dependencies from";
      },
    );
  }, 3 * minute);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test("tells its version", { timeout: minute }, async ({ skip }) => {
    if (offline !== undefined) return skip(offline);
    expect(await mayfly("--version")).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  test("brings up a system that answers an invoke, and takes it down", { timeout: 2 * minute }, async ({ skip }) => {
    if (offline !== undefined) return skip(offline);
    if (!canIsolate) return skip("no isolation is to be had on this host");
    await mayfly("up", "--detach", "--no-hello");
    try {
      await mayfly("deploy", join(packageRoot, "examples/hello"));
      expect(await mayfly("invoke", "hello", '{"name":"Ada"}')).toContain("Hello, Ada!");
    } finally {
      expect(await mayfly("down")).toContain("has ended");
    }
  });
});

/** Packs a copy of the checkout, so that the checkout itself gets no `dist/`. Resolves with the tarball's path. */
async function packed(copy: string): Promise<string> {
  await mkdir(copy);
  const files = ["package.json", "package-lock.json", ".npmrc", "tsconfig.json", "tsconfig.build.json"];
  const folders = ["actors", "bin", "config", "examples", "subjects"];
  for (const name of [...files, ...folders]) await cp(join(packageRoot, name), join(copy, name), { recursive: true });
  await symlink(join(packageRoot, "node_modules"), join(copy, "node_modules"));
  const { stdout } = await run("npm", ["pack", "--json", "--loglevel=error"], { cwd: copy });
  // Under --json, npm lets the output of scripts through before its own.
  const [{ filename }] = JSON.parse(stdout.slice(stdout.lastIndexOf("\n[") + 1)) as [{ filename: string }];
  return join(copy, filename);
}
