/** What V8 compiled of the ES modules of a Node.js function in one life, given to another. */
import Module from "node:module";
import { crc32 } from "node:zlib";
import { expect, test } from "vitest";
import { describeUnless, lackingIf, testUnless } from "../../support/unless.ts";
import { type Booted, bodyOf, boot, nodeBootstrap } from "./booted.ts";
import { COMPILED, GIVEN, large, largeModule } from "./large-module.ts";

const tooOld = lackingIf(!("registerHooks" in Module), "Node.js 22.15 or later");

const HANDLER = `export const handler = async () => ({ given, ...(await more()) });`;
/** Reports for each file whether V8 had bytecode of it. */
const files = (more: Readonly<Record<string, string>> = {}) => ({
  "compiled.mjs": COMPILED,
  "index.mjs": largeModule(`const more = () => ({}); ${HANDLER}`),
  ...more,
});
const taken = { given: "taken" };
const nothing = { given: "nothing" };

/** Asked for; `ready` is what follows. */
async function handedOver(booted: Booted): Promise<Buffer> {
  booted.askForBytecode();
  const said = await booted.init();
  if (said.type !== "bytecode") throw new Error(JSON.stringify(bodyOf(said)));
  expect(await booted.next()).toEqual({ type: "ready" });
  return said.payload;
}

/** The same folder twice: what is kept names the files it is of. Gives what both answered. */
async function lives(
  code: Readonly<Record<string, string>>,
  change: (kept: Buffer) => Buffer = (kept) => kept,
): Promise<[first: unknown, second: unknown]> {
  await using first = await boot(nodeBootstrap, code);
  const kept = await handedOver(first);
  await using again = await boot(nodeBootstrap, {});
  again.keep(change(kept));
  const env = { LAMBDA_TASK_ROOT: first.taskRoot };
  expect(await again.init({ taskRoot: first.taskRoot, env })).toEqual({ type: "ready" });
  const answers: [unknown, unknown] = [bodyOf(await first.invoke({})), bodyOf(await again.invoke({}))];
  expect([first.printed(), again.printed(), first.logs, again.logs]).toEqual(["", "", [], []]);
  return answers;
}

describeUnless(tooOld)("bytecode of ES modules", () => {
  test("is handed over once, with what was compiled during init, and spares the next life from compiling them", async () => {
    expect(await lives(files())).toEqual([nothing, taken]);
  });

  test("is also of what they import, in a package or a .js file of one that says so, and of CommonJS beside them", async () => {
    const code = files({
      "package.json": `{"type":"module"}`,
      "index.js": largeModule(`
        import { given as chunk, late } from "./chunk.js"; import { given as library } from "library"; import common from "./given.cjs";
        const more = async () => ({ chunk, library, common: await common.handler(), late: await late() }); ${HANDLER}`),
      "chunk.js": largeModule(`export const late = async () => (await import("./late.js")).answer;`),
      "late.js": large("export const answer = 7;"),
      "node_modules/library/package.json": `{"exports":{"import":"./library.mjs"}}`,
      "node_modules/library/library.mjs": largeModule("", "../../compiled.mjs"),
      "given.cjs": GIVEN.replace("./large.js", "./large.cjs"),
      "large.cjs": large("exports.answer = () => 42;"),
    });
    const found = (given: string) => {
      const common = { answer: 42, given: { "large.cjs": given } };
      return { given, chunk: given, library: given, common, late: 7 };
    };
    expect(await lives(code)).toEqual([found("nothing"), found("taken")]);
  });

  test.each([
    ["is of another text", (kept: Buffer) => flipped(kept, dataAt(kept) + 12)],
    ["was damaged", (kept: Buffer) => flipped(kept, dataAt(kept) + 200)],
    ["is for another V8", (kept: Buffer) => sealed(flipped(kept, dataAt(kept) + HEAD + 4))],
    ["is cut short", (kept: Buffer) => kept.subarray(0, dataAt(kept) + 40)],
    ["has no index", (kept: Buffer) => kept.subarray(0, 7)],
    ["is noise", (kept: Buffer) => Buffer.alloc(kept.length, 0x5a)],
    ["names files elsewhere", (kept: Buffer) => renamed(kept, "../../ab")],
  ])("that %s doesn't keep the function from working", async (_, change) => {
    expect(await lives(files(), change)).toEqual([nothing, nothing]);
  });

  test("is of nothing in a function of small modules, and leaves its process as it was", async () => {
    await using booted = await boot(nodeBootstrap, {
      "index.mjs": `import { getCompileCacheDir } from "node:module";\nexport const handler = async () => getCompileCacheDir() ?? "none";\n`,
    });
    expect(await handedOver(booted)).toHaveLength(0);
    expect(bodyOf(await booted.invoke({}))).toBe("none");
  });

  test("is none where init fails", async () => {
    await using booted = await boot(nodeBootstrap, files({ "index.mjs": largeModule("throw new Error('no');") }));
    booted.askForBytecode();
    expect(await booted.init()).toMatchObject({ type: "initError" });
    expect(await booted.next()).toMatchObject({ type: "ended" });
  });

  test("lies nowhere any more when the function's first statement runs", async () => {
    const look = `
      import { existsSync } from "node:fs"; import { dirname } from "node:path"; import { getCompileCacheDir } from "node:module";
      const folders = () => [getCompileCacheDir()].filter((folder) => folder).map((folder) => existsSync(dirname(folder)));
      export const found = folders(); export const later = () => folders();`;
    const code = files({
      "look.mjs": look,
      "index.mjs": `import { found, later } from "./look.mjs";\n${largeModule(`const more = () => ({ found, later: later() }); ${HANDLER}`)}`,
    });
    expect(await lives(code)).toEqual([
      { given: "nothing", found: [], later: [false] },
      { given: "taken", found: [false], later: [false] },
    ]);
  });
});

testUnless(tooOld)("modules that begin with bytecode are what they are without, and run once", async () => {
  const body = `
    import { createRequire } from "node:module"; import { Worker } from "node:worker_threads";
    import { read } from "./cycle.mjs"; import * as self from "./index.mjs";
    globalThis.ran = (globalThis.ran ?? 0) + 1;
    export let live = 1; const require = createRequire(import.meta.url);
    const late = await Promise.resolve("awaited"); live = 2;
    const nth = (text, n) => String(text).split("\\n")[n].trim();
    const fails = async (path) => import(path).catch((error) => [error.name, error.code, error.message, nth(error.stack, 1)]);
    const inWorker = () => new Promise((resolve, reject) => new Worker("require('worker_threads').parentPort.postMessage(require('module').getCompileCacheDir() ?? 'none')", { eval: true }).once("message", resolve).once("error", reject));
    const more = async () => ({
      ran: globalThis.ran, late, meta: { ...import.meta, resolve: import.meta.resolve("./cycle.mjs") }, live: read(), same: (await import("./index.mjs")) === self,
      stack: [nth(new Error("here").stack, 1), await fails("./broken.mjs"), await fails("./throws.mjs"), await fails("./missing.mjs"), await fails("./lacks.mjs")],
      left: Reflect.ownKeys(globalThis).map(String).filter((name) => name.includes("mayfly")), env: Object.keys(process.env).sort(), argv: process.execArgv, main: require.main?.filename,
      cached: Object.keys(require.cache).filter((name) => name.includes("mayfly:")), worker: await inWorker(), exports: Object.keys(self),
    });`;
  const [first, second] = (await lives(
    files({
      "index.mjs": largeModule(`${body} ${HANDLER}`),
      "cycle.mjs": `import { live } from "./index.mjs"; export const read = () => live;\n`,
      "broken.mjs": "export const = 1;\n",
      "throws.mjs": "throw new TypeError('thrown');\n",
      "lacks.mjs": `import { nothing } from "./cycle.mjs";\n`,
    }),
  )) as { given: string }[];
  expect(second).toEqual({ ...first, given: "taken" });
  expect(second).toMatchObject({
    ran: 1,
    late: "awaited",
    live: 2,
    same: true,
    left: [],
    cached: [],
    worker: "none",
    exports: ["given", "handler", "live"],
    stack: [expect.stringMatching(/index\.mjs:\d+:\d+\)?$/), ...Array(4).fill(expect.any(Array))],
  });
});

describeUnless(tooOld)("a function with a compile cache of its own", () => {
  const own = (how: string) => `
    import * as node from "node:module"; import { mkdtempSync, readdirSync, rmSync } from "node:fs";
    ${how}
    const more = () => { const at = node.getCompileCacheDir(); node.flushCompileCache(); const files = readdirSync(at).length; rmSync(folder, { recursive: true }); return { isOwn: at.startsWith(folder), hasFiles: files > 0 }; };`;

  test("keeps it, and hands over nothing of its modules", async () => {
    const body = own(`const folder = mkdtempSync("/tmp/own-"); node.enableCompileCache(folder);
      await import("./chunk.mjs");`);
    const code = { "index.mjs": largeModule(`${body} ${HANDLER}`), "chunk.mjs": large("export const x = 1;") };
    await using booted = await boot(nodeBootstrap, files(code));
    expect(await handedOver(booted)).toHaveLength(0);
    expect(bodyOf(await booted.invoke({}))).toEqual({ ...nothing, isOwn: true, hasFiles: true });
  });

  test("may have it by its environment", async () => {
    const body = own("const folder = process.env.NODE_COMPILE_CACHE;");
    await using booted = await boot(nodeBootstrap, files({ "index.mjs": largeModule(`${body} ${HANDLER}`) }));
    booted.askForBytecode();
    const folder = `${booted.taskRoot}-own`;
    expect(await booted.init({ env: { NODE_COMPILE_CACHE: folder } })).toEqual({
      type: "bytecode",
      payload: Buffer.alloc(0),
    });
    expect(await booted.next()).toEqual({ type: "ready" });
    expect(bodyOf(await booted.invoke({}))).toEqual({ ...nothing, isOwn: true, hasFiles: true });
  });
});

/** Of Node's before V8's own: magic, characters, bytes, and checksums of both. */
const HEAD = 20;

/** Where the largest file begins. */
const dataAt = (kept: Buffer): number => largestOf(kept)[0];

function largestOf(kept: Buffer): [at: number, bytes: number] {
  const textEnd = 4 + kept.readUInt32BE(0);
  const { modules } = JSON.parse(kept.toString("utf8", 4, textEnd)) as { modules: [string, number][] };
  const largest = Math.max(...modules.map(([, bytes]) => bytes));
  let at = aligned(textEnd);
  for (const [, bytes] of modules) {
    if (bytes === largest) break;
    at += aligned(bytes);
  }
  return [at, largest];
}

/** With the checksum that Node looks at. */
function sealed(kept: Buffer): Buffer {
  const [at, bytes] = largestOf(kept);
  kept.writeUInt32LE(crc32(kept.subarray(at + HEAD, at + bytes)), at + 16);
  return kept;
}

const aligned = (bytes: number): number => Math.ceil(bytes / 8) * 8;

function flipped(kept: Buffer, at: number): Buffer {
  const copy = Buffer.from(kept);
  copy[at] = (copy[at] ?? 0) ^ 0xff;
  return copy;
}

const renamed = (kept: Buffer, name: string): Buffer =>
  Buffer.from(kept.toString("latin1").replaceAll(/"[0-9a-f]{8}"/g, JSON.stringify(name)), "latin1");
