/**
 * Attacks by way of bytecode: what a function hands over is kept by its worker and given to later sandboxes of that
 * function version. It may harm those, which are its own; the worker, its disk and everybody else go on.
 */
import { lstat, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { noIsolation } from "../sandbox/drivers/hosted.ts";
import { large } from "../sandbox/runtimes/large-module.ts";
import { configure } from "../support/functions.ts";
import { describeUnless } from "../support/unless.ts";
import { type Attacked, startAttacked } from "./attacked.ts";

/** Time enough for those who begin honestly. */
const INIT_MS = "5000";
const MAX_FILE_BYTES = 6_291_560;
/** Writes frames past the runtime. */
const FORGE = `
  const { writeSync } = require("node:fs");
  const put = (bytes) => { for (let at = 0; at < bytes.length; ) try { at += writeSync(3, bytes, at); } catch (error) { if (error.code !== "EAGAIN") throw error; } };
  const piece = (bytes) => { const head = Buffer.alloc(5); head.writeUInt32BE(1 + bytes.length); head[4] = 0x1a; return Buffer.concat([head, bytes]); };
`;
/** Words before a large module is loaded: \`given\` says whether V8 gets bytecode for it. */
const SEE = `
  const vm = require("node:vm");
  let given = false;
  vm.Script = class extends vm.Script { constructor(code, options) { super(code, options); given ||= options?.cachedData !== undefined; } };
`;

const MAKE = "const { Script } = vm; const make = Object.getPrototypeOf(Script.prototype).createCachedData;";

describeUnless(noIsolation)("a function that abuses its bytecode", () => {
  let attacked: Attacked;
  beforeAll(async () => {
    attacked = await startAttacked({ MAYFLY_INIT_TIMEOUT: INIT_MS });
  });
  afterAll(() => attacked?.[Symbol.asyncDispose]());
  afterEach(async () => {
    await attacked.isUnharmed();
    const folder = join(attacked.system.home.bytecode, "a");
    for (const name of (await files()).keys()) {
      const facts = await lstat(join(folder, name));
      expect([facts.isFile(), facts.size <= MAX_FILE_BYTES, facts.mode & 0o777]).toEqual([true, true, 0o600]);
    }
  });

  /** By name. */
  const files = async () => {
    const folder = join(attacked.system.home.bytecode, "a");
    const names = (await readdir(folder)).filter((name) => !name.startsWith("."));
    return new Map(await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name))] as const)));
  };
  const kept = async () => (await files()).size;
  let revision = 0;
  const again = async (fn: string, event: unknown = {}) => {
    const platform = await attacked.system.connect("platform");
    await configure(platform, fn, { Environment: { Variables: { REVISION: `${revision++}` } } });
    return attacked.invoke(fn, event);
  };
  /** A large module, between words of the attacker's. */
  const program = (before: string, after = "") => ({
    "index.js": `${SEE}\n${before}\nconst large = require("./large.js");\n${after}\nexports.handler = async () => given;\n`,
    "large.js": large("exports.answer = () => 42;"),
  });
  const deployed = (files: Readonly<Record<string, string>>, handler = "index.handler") =>
    attacked.node("", { files, handler });

  test("what nobody asked for isn't kept, however large or often it comes", async () => {
    const before = await kept();
    const fn = await attacked.node(`${FORGE} put(piece(Buffer.alloc(event.bytes, 1))); return "own";`);
    // A second piece is against the rules of the channel, and is the sandbox's end.
    const second = await attacked.invoke(fn, { bytes: 6_000_000 });
    expect(second.value ?? second.error?.errorType).toMatch(/^(own|Runtime\.ExitError)$/);
    const twice = await attacked.node(
      `${FORGE} for (let n = 0; n < 50; n++) put(piece(Buffer.alloc(9))); return "own";`,
    );
    const { value, error } = await attacked.invoke(twice);
    expect(value ?? error?.errorType).toMatch(/^(own|Runtime\.ExitError)$/);
    const giant = await attacked.node(`${FORGE} put(piece(Buffer.alloc(7_000_000))); return "own";`);
    const refused = await attacked.invoke(giant);
    expect(refused.value ?? refused.error?.errorType).toMatch(/^(own|Runtime\.ExitError)$/);
    expect(await kept()).toBe(before);
  });

  test("who takes over a sandbox by an event reaches no later one: what was kept stays as it was", async () => {
    const before = await files();
    const fn = await deployed({
      "index.js": `${SEE}\n${FORGE}\nrequire("./large.js");
        exports.handler = async ({ forge }) => { if (forge) put(piece(Buffer.alloc(5000, 0x41))); return given; };\n`,
      "large.js": large("exports.answer = () => 42;"),
    });
    // Also one that nothing had been made of before it.
    expect((await attacked.invoke(fn, { forge: true })).error?.errorType).toBe("Runtime.ExitError");
    const made = async () => [...(await files())].filter(([name]) => !before.has(name));
    await expect.poll(async () => (await made()).length).toBe(1);
    const honest = await made();
    expect(honest[0]?.[1].includes(Buffer.alloc(5000, 0x41))).toBe(false);
    for (let n = 0; n < 3; n++) expect((await again(fn, { forge: true })).value).toBe(true);
    expect(await made()).toEqual(honest);
  });

  /** Until a sandbox of its own begins with what an earlier one handed over. */
  const isGivenSome = (fn: string) =>
    expect.poll(async () => (await again(fn)).value, { timeout: 20_000, interval: 100 }).toBe(true);

  test.each([
    ["noise", "Buffer.alloc(5000, 0x5a)"],
    ["the bytecode of another file", "make.call(new Script('0'))"],
    ["as much as a frame holds", "Buffer.alloc(6_200_000, 1)"],
  ])("%s handed over is kept for nobody but itself, and V8 refuses it there", async (_, bytes) => {
    const fn = await deployed(program(`${MAKE} Script.prototype.createCachedData = () => ${bytes};`));
    const honest = await deployed(program(""));
    expect((await attacked.invoke(fn)).value).toBe(false);
    await isGivenSome(fn);
    expect((await attacked.invoke(honest)).value, "the same large file of another function").toBe(false);
  });

  test.each(["(() => { throw new Error('no') })()", "Buffer.alloc(50_000_000)", "null", "'text'"])(
    "%s handed over isn't kept, and its next call is served",
    async (bytes) => {
      const make = `() => { console.log("asked"); return ${bytes}; }`;
      const fn = await deployed(program(`${MAKE} Script.prototype.createCachedData = ${make};`));
      expect((await attacked.invoke(fn)).value).toBe(false);
      await attacked.logUntil(fn, /asked/);
      expect((await attacked.invoke(fn)).value, "its next call").toBe(false);
      expect((await again(fn)).value, "its next sandbox").toBe(false);
    },
  );

  test("one that never ends handing over loses its own time, is served all the same, and asked no third time", async () => {
    const make = `() => { console.log("asked"); for (;;); }`;
    const fn = await deployed(program(`${MAKE} Script.prototype.createCachedData = ${make};`));
    for (let n = 0; n < 4; n++) expect((await again(fn)).value).toBe(false);
    const log = await attacked.logUntil(fn, /asked/);
    expect(log.filter((line) => line.includes("asked"))).toHaveLength(2);
  });

  test("one that crashes whenever it begins with some is served all the same, and gets none any more", async () => {
    const after = `if (given) { console.log("given some"); process.kill(process.pid, "SIGSEGV"); }`;
    const fn = await deployed(program("", after));
    const crashes = async () => {
      expect((await again(fn)).value).toBe(false);
      return (await attacked.logUntil(fn, /^REPORT/)).filter((line) => line.includes("given some")).length;
    };
    for (const count of [1, 2]) await expect.poll(crashes, { timeout: 20_000, interval: 100 }).toBe(count);
    for (let n = 0; n < 4; n++) expect(await crashes()).toBe(2);
  });

  /** An ES module whose first statement says whether its modules begin with bytecode; `words` are the attacker's. */
  const ofModules = (words: string) =>
    deployed(
      {
        "main.mjs": `import { given } from "./first.mjs"; import fs from "node:fs"; import Module from "node:module"; import { crc32 } from "node:zlib";
        ${words} export const handler = async () => given; ${large("")}`,
        "first.mjs": `import { getCompileCacheDir } from "node:module"; export const given = getCompileCacheDir() !== undefined;`,
      },
      "main.handler",
    );
  /** Words that do something to each file of bytecode, when it is about to be handed over. */
  const altering = (act: string) => `
    const flush = Module.flushCompileCache;
    Module.flushCompileCache = () => {
      if (given) return flush();
      console.log("asked");
      flush();
      const folder = Module.getCompileCacheDir();
      for (const name of fs.readdirSync(folder)) { const path = folder + "/" + name; ${act} }
    };`;

  test.each([
    ["noise", "fs.writeFileSync(path, Buffer.alloc(5000, 0x5a));"],
    ["a checksum of something else", "const all = fs.readFileSync(path); all[16] ^= 1; fs.writeFileSync(path, all);"],
    ["as much as a frame holds", "fs.writeFileSync(path, Buffer.alloc(6_200_000, 1));"],
  ])("%s handed over as its modules' bytecode is kept for nobody but itself, and refused there", async (_, act) => {
    const [fn, honest] = [await ofModules(altering(act)), await ofModules("")];
    expect((await attacked.invoke(fn)).value).toBe(false);
    await isGivenSome(fn);
    expect((await attacked.invoke(honest)).value, "the same modules of another function").toBe(false);
  });

  test("what V8 takes for bytecode, and crashes with, is its own function's loss, which is served all the same", async () => {
    const forged = "all.fill(0x41, 60); all.writeUInt32LE(crc32(all.subarray(20)), 16);";
    const fn = await ofModules(altering(`const all = fs.readFileSync(path); ${forged} fs.writeFileSync(path, all);`));
    const asked = async () => {
      expect((await again(fn)).value).toBe(false);
      return (await attacked.logUntil(fn, /^REPORT/)).filter((line) => line.includes("asked")).length;
    };
    await expect.poll(asked, { timeout: 20_000, interval: 100 }).toBe(2);
    for (let n = 0; n < 4; n++) expect(await asked()).toBe(2);
  });

  test.each([
    ["a link", "fs.rmSync(path); fs.symlinkSync('/proc/self/' + './'.repeat(1000) + 'exe', path);"],
    ["a folder", "fs.rmSync(path); fs.mkdirSync(path); fs.chmodSync(path, 0);"],
    ["more than a frame holds", "fs.writeFileSync(path, Buffer.alloc(50_000_000, 1));"],
    ["what has another name", "fs.renameSync(path, folder + '/0123456x');"],
    ["nothing", "fs.rmSync(folder, { recursive: true }); throw new Error('no');"],
  ])("%s in the place of its modules' bytecode isn't kept, and its next call is served", async (_, act) => {
    const fn = await ofModules(altering(act));
    expect((await attacked.invoke(fn)).value).toBe(false);
    await attacked.logUntil(fn, /asked/);
    expect((await attacked.invoke(fn)).value, "its next call").toBe(false);
    expect((await again(fn)).value, "its next sandbox").toBe(false);
  });

  test("modules that never end being stored lose their own time, are served all the same, and asked no third time", async () => {
    const fn = await ofModules(altering("for (;;);"));
    for (let n = 0; n < 4; n++) expect((await again(fn)).value).toBe(false);
    const log = await attacked.logUntil(fn, /asked/);
    expect(log.filter((line) => line.includes("asked"))).toHaveLength(2);
  });
});
