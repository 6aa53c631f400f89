/** What `npm start` and `npm test` begin with, in a checkout whose dependencies are files beside it. */
import { execFile } from "node:child_process";
import { access, cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { packageRoot } from "../../bin/package-root.ts";

const run = promisify(execFile);
let checkout: string;

beforeEach(async () => {
  checkout = await mkdtemp(join(tmpdir(), "mayfly-setup-"));
  await mkdir(join(checkout, "bin"));
  await cp(join(packageRoot, "bin/setup.js"), join(checkout, "bin/setup.js"));
  for (const name of ["used", "tested"]) {
    await mkdir(join(checkout, name));
    await writeFile(join(checkout, name, "package.json"), JSON.stringify({ name, version: "1.0.0" }));
    await run("npm", ["pack", "--silent", `./${name}`], { cwd: checkout });
  }
  const dependencies = { used: "file:used-1.0.0.tgz" };
  const devDependencies = { tested: "file:tested-1.0.0.tgz" };
  const manifest = { name: "checkout", version: "1.0.0", type: "module", dependencies, devDependencies };
  await writeFile(join(checkout, "package.json"), JSON.stringify(manifest));
  await run("npm", ["install", "--package-lock-only", "--offline", "--silent"], { cwd: checkout });
}, 60_000);
afterEach(() => rm(checkout, { recursive: true, force: true }));

const setUp = async (...args: string[]): Promise<string> => {
  const { stdout } = await run(process.execPath, ["bin/setup.js", ...args], { cwd: checkout });
  return stdout;
};
const installed = async (name: string): Promise<boolean> =>
  access(join(checkout, "node_modules", name)).then(
    () => true,
    () => false,
  );

test("what is used is installed first, the tests' tools when they are needed, and nothing twice", async () => {
  const lock = await readFile(join(checkout, "package-lock.json"), "utf8");
  expect(await setUp()).toContain("installing 1 package (once)");
  expect([await installed("used"), await installed("tested")]).toEqual([true, false]);
  expect(await setUp()).toBe("");
  expect(await setUp("--dev")).toContain("installing 1 package");
  expect(await installed("tested")).toBe(true);
  expect(await setUp("--dev")).toBe("");
  expect(await setUp()).toBe("");
  expect(await readFile(join(checkout, "package-lock.json"), "utf8")).toBe(lock);
});

test("after a change of the lock file, what it changed is installed", async () => {
  await setUp();
  await writeFile(join(checkout, "used/package.json"), JSON.stringify({ name: "used", version: "1.1.0" }));
  await run("npm", ["pack", "--silent", "./used"], { cwd: checkout });
  await run("npm", ["pkg", "set", "dependencies.used=file:used-1.1.0.tgz"], { cwd: checkout });
  await run("npm", ["install", "--package-lock-only", "--offline", "--silent"], { cwd: checkout });
  expect(await setUp()).toContain("installing 1 package");
  expect(JSON.parse(await readFile(join(checkout, "node_modules/used/package.json"), "utf8")).version).toBe("1.1.0");
});

test("when npm fails, it says why and ends with npm's exit code", async () => {
  await rm(join(checkout, "used-1.0.0.tgz"));
  const lock = JSON.parse(await readFile(join(checkout, "package-lock.json"), "utf8"));
  delete lock.packages["node_modules/used"].integrity;
  await writeFile(join(checkout, "package-lock.json"), JSON.stringify(lock));
  const failure = await setUp().catch((error: Error & { readonly code: number; readonly stderr: string }) => error);
  expect(failure).toMatchObject({ stderr: expect.stringContaining("ENOENT") });
  expect(failure).toMatchObject({ stderr: expect.stringContaining("npm install has failed") });
});
