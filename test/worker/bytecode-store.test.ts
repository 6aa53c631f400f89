/** The worker's store of bytecode, on a real disk. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { BytecodeStore } from "../../actors/worker/bytecode-store.ts";

const A = "a".repeat(64);
const B = "b".repeat(64);
const C = "c".repeat(64);
const KIB = 1024;

let parent: string;
let folder: string;
let now = 0;
let lost: unknown[] = [];
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), "mayfly-bytecode-"));
  folder = join(parent, "kept");
  now = 0;
  lost = [];
});
afterEach(() => rm(parent, { recursive: true, force: true }));

const opened = (maxBytes = 1024 * KIB) =>
  new BytecodeStore({ folder, maxBytes, nowMs: () => now, failed: (error) => lost.push(error) });

async function keep(store: BytecodeStore, name: string, bytes: Uint8Array): Promise<void> {
  store.of(name).claim()?.fulfil(bytes);
  await store.close();
}

test("what was stored is read, by its name only, also by a later process", async () => {
  const store = opened();
  expect(await store.of(A).read()).toBeUndefined();
  await keep(store, A, Buffer.from("of a"));
  for (const each of [store, opened()]) {
    expect((await each.of(A).read())?.toString()).toBe("of a");
    expect(await each.of(B).read()).toBeUndefined();
  }
  expect(lost).toEqual([]);
});

test("of many who could make it one does, and nobody once it is there", async () => {
  const store = opened();
  const claims = Array.from({ length: 8 }, () => store.of(A).claim());
  expect(claims.map((claim) => claim !== undefined)).toEqual([true, ...Array(7).fill(false)]);
  expect(store.of(B).claim()).toBeDefined();
  claims[0]?.fulfil(Buffer.from("x"));
  expect(store.of(A).claim()).toBeUndefined();
  await store.close();
  expect(store.of(A).claim()).toBeUndefined();
});

test("one who gives up, or is silent for too long, leaves it to another; whoever is first counts", async () => {
  const store = opened();
  store.of(A).claim()?.giveBack();
  const silent = store.of(A).claim();
  now += 9_999;
  expect(store.of(A).claim()).toBeUndefined();
  now += 1;
  const other = store.of(A).claim();
  silent?.giveBack();
  expect(store.of(A).claim(), "the other is at it").toBeUndefined();
  other?.fulfil(Buffer.from("first"));
  other?.fulfil(Buffer.from("again"));
  await store.close();
  silent?.fulfil(Buffer.from("late"));
  await store.close();
  expect((await store.of(A).read())?.toString()).toBe("first");
});

test("makers of all names at once disturb nobody", async () => {
  const store = opened();
  const names = Array.from({ length: 40 }, (_, n) => n.toString(16).padStart(64, "0"));
  for (const name of names) store.of(name).claim()?.fulfil(Buffer.from(name));
  await store.close();
  for (const name of names) expect((await store.of(name).read())?.toString()).toBe(name);
  expect((await readdir(folder)).sort()).toEqual(names);
});

test("nothing is stored of what has nothing, and nobody is asked again; nor what is too large for a frame", async () => {
  const store = opened(64 * 1024 * KIB);
  await keep(store, A, new Uint8Array());
  expect(store.of(A).claim()).toBeUndefined();
  await keep(store, B, new Uint8Array(6_291_557));
  expect(await store.of(B).read()).toBeUndefined();
  expect(existsSync(folder) ? await readdir(folder) : []).toEqual([]);
});

test("what a life crashed with goes, and is made once more only", async () => {
  const store = opened();
  for (const isMadeAgain of [true, false]) {
    await keep(store, A, Buffer.from("poison"));
    store.of(A).failed();
    await store.close();
    expect([await store.of(A).read(), await readdir(folder)]).toEqual([undefined, []]);
    const claim = store.of(A).claim();
    expect(claim !== undefined).toBe(isMadeAgain);
    claim?.giveBack();
  }
});

test.each([
  ["has a byte changed", async (path: string) => writeFile(path, flipped(await readFile(path)))],
  ["is cut short", (path: string) => truncate(path, 10)],
  ["was emptied", (path: string) => truncate(path, 0)],
  ["is gone", (path: string) => rm(path)],
  ["became a link", (path: string) => rm(path).then(() => symlink("/etc/passwd", path))],
  ["became a folder", (path: string) => rm(path).then(() => mkdir(path))],
  ["became a pipe", (path: string) => rm(path).then(() => run("mkfifo", path))],
])("a file that %s counts as none, is told, and is made anew", async (_, damage) => {
  const store = opened();
  await keep(store, A, Buffer.alloc(1000, "x"));
  await damage(join(folder, A));
  expect(await store.of(A).read()).toBeUndefined();
  expect(lost).toHaveLength(1);
  await store.close();
  await keep(store, A, Buffer.from("anew"));
  expect((await store.of(A).read())?.toString()).toBe("anew");
});

test("the least recently used goes first, by the order of the process before too", async () => {
  const first = opened(2500);
  for (const name of [A, B]) await keep(first, name, Buffer.alloc(1000));
  const past = Date.now() / 1000 - 100;
  await utimes(join(folder, A), past, past);
  await utimes(join(folder, B), past + 50, past + 50);
  const store = opened(2500);
  await store.of(A).read();
  await keep(store, C, Buffer.alloc(1000));
  expect((await readdir(folder)).sort()).toEqual([A, C]);
  expect(await store.of(B).read()).toBeUndefined();
});

test("whatever else lies in its folder is removed, links and pipes without being followed", async () => {
  await mkdir(join(folder, B), { recursive: true });
  await writeFile(join(parent, "theirs"), "theirs");
  await writeFile(join(folder, ".draft-1"), "half");
  await symlink(join(parent, "theirs"), join(folder, A));
  await run("mkfifo", join(folder, C));
  const store = opened();
  for (const name of [A, B, C]) expect(await store.of(name).read()).toBeUndefined();
  expect([await readdir(folder), await readFile(join(parent, "theirs"), "utf8")]).toEqual([[], "theirs"]);
});

test("a worker that is killed while it writes leaves what is whole, or nothing", async () => {
  const program = `
    import { BytecodeStore } from ${JSON.stringify(new URL("../../actors/worker/bytecode-store.ts", import.meta.url).href)};
    const [folder] = process.argv.slice(1);
    const store = new BytecodeStore({ folder, maxBytes: 2 ** 40, nowMs: () => 0, failed: () => {} });
    for (let n = 0; ; n++) {
      store.of(n.toString(16).padStart(64, "0")).claim()?.fulfil(Buffer.alloc(3_000_000, n));
      await store.close();
      process.stdout.write(".");
    }`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program, folder], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  await once(child.stdout, "data");
  const isWriting = async () => (await readdir(folder)).some((name) => name.startsWith(".draft-"));
  await vi.waitUntil(isWriting, { interval: 1, timeout: 10_000 });
  child.kill("SIGKILL");
  await ended;
  const names = (await readdir(folder)).filter((name) => !name.startsWith("."));
  const store = opened(2 ** 40);
  for (const name of names) {
    const bytes = await store.of(name).read();
    expect(bytes?.equals(Buffer.alloc(3_000_000, Number.parseInt(name, 16)))).toBe(true);
  }
  expect((await readdir(folder)).sort()).toEqual(names.sort());
});

test("where nothing can be written or read, there is just none", async () => {
  await writeFile(folder, "in the way");
  const store = opened();
  await keep(store, A, Buffer.from("x"));
  expect(await store.of(A).read()).toBeUndefined();
  expect(lost.length).toBeGreaterThan(0);
});

function flipped(bytes: Buffer): Buffer {
  bytes[500] = (bytes[500] ?? 0) ^ 1;
  return bytes;
}

async function run(program: string, ...args: string[]): Promise<void> {
  const [code] = await once(spawn(program, args, { stdio: "ignore" }), "exit");
  if (code !== 0) throw new Error(`${program} has failed`);
}
