import { execFile } from "node:child_process";
import { mkdtemp, open, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ResolvedRuntime, resolveRuntime } from "../../../actors/sandbox/runtimes/catalogue.ts";
import { findPython } from "../../../actors/sandbox/runtimes/python-interpreter.ts";
import { RememberedRuntimes, stillThere } from "../../../actors/sandbox/runtimes/remembered.ts";

const run = promisify(execFile);
let home: string;
let runtimes: RememberedRuntimes;
let pythons: readonly string[];

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "mayfly-remembered-"));
  runtimes = new RememberedRuntimes(home);
  pythons = (await runtimes.list()).filter((name) => name.startsWith("python"));
});

afterAll(() => rm(home, { recursive: true, force: true }));

const runtimeFolder = ({ mounts }: ResolvedRuntime) => mounts.find(({ to }) => to === "/var/runtime")?.from ?? "";

describe("a worker's runtimes", () => {
  test("are what resolving one gives, found once until they are forgotten", async () => {
    const first = await runtimes.resolve("nodejs24.x", { memoryMiB: 128 });
    expect(first).toEqual(await resolveRuntime("nodejs24.x", { home, memoryMiB: 128 }));
    expect(await runtimes.resolve("nodejs24.x", { memoryMiB: 128 })).toBe(first);
    expect(await runtimes.resolve("nodejs24.x", { memoryMiB: 256 })).not.toEqual(first);
    runtimes.forget();
    expect(await runtimes.resolve("nodejs24.x", { memoryMiB: 128 })).not.toBe(first);
  });

  test("are not the ones that are gone", async () => {
    await expect(runtimes.resolve("python9.9", { memoryMiB: 128 })).rejects.toThrow("is not installed");
    const [python] = pythons;
    if (python === undefined) return;
    const first = await runtimes.resolve(python, { memoryMiB: 128 });
    await rm(runtimeFolder(first), { recursive: true });
    const second = await runtimes.resolve(python, { memoryMiB: 128 });
    expect(second).not.toBe(first);
    expect(await readdir(runtimeFolder(second))).toContain("mayfly_runtime");
  });

  test("are known to have been removed, and made anew since", async () => {
    const file = join(home, "interpreter");
    await writeFile(file, "");
    const before = await open(file);
    const resolved = { mounts: [{ from: file, to: "/var/lang/bin/x" }] } as unknown as ResolvedRuntime;
    const isThere = stillThere(resolved);
    expect(isThere()).toBe(true);
    await rm(file);
    expect(isThere()).toBe(false);
    await writeFile(file, "");
    expect([isThere(), stillThere(resolved)()]).toEqual([false, true]);
    await before.close();
  });

  test("of Python have our part compiled, once for all who ask and leaving no draft", async () => {
    const [python] = pythons;
    if (python === undefined) return;
    await rm(join(home, "compiled"), { recursive: true });
    runtimes.forget();
    const [one, other] = await Promise.all([64, 128].map((memoryMiB) => runtimes.resolve(python, { memoryMiB })));
    const folder = runtimeFolder(one as ResolvedRuntime);
    expect(runtimeFolder(other as ResolvedRuntime)).toBe(folder);
    expect(await readdir(join(home, "compiled"))).toHaveLength(1);
    expect(one?.command.at(-1)).toBe("/var/runtime/bootstrap.pyc");
    expect(await readFile(join(folder, "bootstrap.pyc"), "latin1")).toContain("/var/runtime/bootstrap.py");
    const interpreter = await findPython(python, "");
    const program = `import sys; sys.path.insert(0, ${JSON.stringify(folder)}); import mayfly_runtime.function as it; print(it.__cached__)`;
    const { stderr, stdout } = await run(interpreter?.path ?? "", ["-I", "-S", "-B", "-v", "-c", program]);
    expect(stderr).toContain(`code object from '${stdout.trim()}'`);
    // Tracebacks tell where the sandbox sees it.
    expect(await readFile(stdout.trim(), "latin1")).toContain("/var/runtime/mayfly_runtime/function.py");
  });
});
