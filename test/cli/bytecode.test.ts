/** Which functions of a worker share bytecode, by real interpreters in real files. */
import { mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ResolvedRuntime } from "../../actors/sandbox/runtimes/catalogue.ts";
import { BytecodeStore } from "../../actors/worker/bytecode-store.ts";
import { bytecodeFor } from "../../bin/run/bytecode.ts";
import type { FunctionSpec } from "../../subjects/function.ts";
import { spec } from "../support/machines.ts";

let folder: string;
let store: BytecodeStore;
let node: ResolvedRuntime;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-bytecode-for-"));
  const failed = (error: unknown) => {
    throw error;
  };
  store = new BytecodeStore({ folder: join(folder, "kept"), maxBytes: 2 ** 20, nowMs: () => 0, failed });
  node = await runtimeAt("node");
  const own = await bytecodeFor(store, spec(), node);
  own?.claim()?.fulfil(Buffer.from("own"));
  await store.close();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function runtimeAt(name: string): Promise<ResolvedRuntime> {
  const from = join(folder, name);
  await writeFile(from, "an interpreter");
  const mounts = [{ from, to: "/var/lang/bin/node" }];
  return { command: [], mounts, runtimeDir: "", overheadMiB: 0, version: "24.21.0" };
}

const readBy = async (fn: FunctionSpec, runtime: ResolvedRuntime) =>
  (await (await bytecodeFor(store, fn, runtime))?.read())?.toString();

test("the same function version reads what was stored, whatever else of it was configured", async () => {
  expect(await readBy(spec({ revision: "r2", environment: { A: "1" }, memoryMiB: 1024 }), node)).toBe("own");
});

test.each<[string, Partial<FunctionSpec>]>([
  ["account", { acct: "111111111111" }],
  ["function", { fn: "other" }],
  ["version", { version: "1" }],
])("another %s with the same code reads nothing", async (_, change) => {
  expect(await readBy(spec(change), node)).toBeUndefined();
});

test("another Node.js of the same version reads nothing, also where one took the other's place", async () => {
  expect(await readBy(spec(), await runtimeAt("other-node"))).toBeUndefined();
  expect(await readBy(spec(), { ...node, version: "24.21.1" })).toBeUndefined();
  const one = await runtimeAt("third");
  (await bytecodeFor(store, spec(), one))?.claim()?.fulfil(Buffer.from("of the third"));
  await store.close();
  expect(await readBy(spec(), one)).toBe("of the third");
  await writeFile(join(folder, "third"), "an interpreteR");
  await utimes(join(folder, "third"), 1, 1);
  expect(await readBy(spec(), one)).toBeUndefined();
});

test("what isn't Node.js, or is started by a host, has none", async () => {
  expect(await bytecodeFor(store, spec({ runtime: "python3.11" }), node)).toBeUndefined();
  expect(await bytecodeFor(store, spec({ runtime: "provided.al2023" }), node)).toBeUndefined();
  expect(await bytecodeFor(store, spec(), { ...node, client: ["node"] })).toBeUndefined();
});
