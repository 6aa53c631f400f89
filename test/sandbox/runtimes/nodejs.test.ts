import { cp, mkdir } from "node:fs/promises";
import Module, { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Booted, bodyOf, boot, nodeBootstrap } from "./booted.ts";

/** Boots with one handler file and runs it once. */
async function runOnce(file: string, text: string, changes: Parameters<Booted["init"]>[0] = {}) {
  await using booted = await boot(nodeBootstrap, { [file]: text });
  const ready = await booted.init(changes);
  return ready.type === "ready" ? await booted.invoke({ name: "Ada" }) : ready;
}

describe("loading", () => {
  test.each([
    ["a CommonJS file", "index.js", "exports.handler = async () => 'cjs';", "index.handler", "cjs"],
    ["a .cjs file", "index.cjs", "exports.handler = async () => 'cjs';", "index.handler", "cjs"],
    ["an ES module", "index.mjs", "export const handler = async () => 'esm';", "index.handler", "esm"],
    ["top-level await", "index.mjs", "const x = await 1; export const handler = async () => x;", "index.handler", 1],
    [
      "a module without an ending's promise",
      "index.js",
      "export const handler = async () => 'esm';",
      "index.handler",
      "esm",
    ],
    ["a handler in a folder", "src/api/users.js", "exports.get = async () => 'users';", "src/api/users.get", "users"],
    ["a nested export", "index.js", "exports.v1 = { users: { get: async () => 'v1' } };", "index.v1.users.get", "v1"],
    ["a default export's member", "index.mjs", "export default { handler: async () => 'd' };", "index.handler", "d"],
    [
      "a package's main file",
      "node_modules/app/index.js",
      "exports.handler = async () => 'pkg';",
      "app.handler",
      "pkg",
    ],
  ])("finds %s", async (_what, file, text, handler, result) => {
    expect(bodyOf(await runOnce(file, text, { handler }))).toBe(result);
  });

  test("believes the nearest package.json about a .js file", async () => {
    await using booted = await boot(nodeBootstrap, {
      "package.json": '{"type":"module"}',
      "index.js": "const { a } = await import('./old/index.js');\nexport const handler = async () => a;",
      "old/package.json": "{}",
      "old/index.js": "exports.a = 'both';",
    });
    await booted.init();
    expect(bodyOf(await booted.invoke({}))).toBe("both");
  });

  test.each([
    ["no dot", "index", "Runtime.MalformedHandlerName"],
    ["a way out of the folder", "../index.handler", "Runtime.MalformedHandlerName"],
    ["something that is no function", "index.number", "Runtime.HandlerNotFound"],
  ])("refuses a handler name with %s", async (_what, handler, errorType) => {
    const said = await runOnce("index.js", "exports.number = 7;", { handler });
    expect(said).toMatchObject({ type: "initError", errorType });
  });

  test("looks for packages in NODE_PATH, from CommonJS and from ES modules where Node has a way", async () => {
    const canHook = "registerHooks" in Module;
    for (const [file, text] of [
      ["index.js", "const { x } = require('layered'); exports.handler = async () => x;"],
      ["index.mjs", "import { x } from 'layered'; export const handler = async () => x;"],
    ].slice(0, canHook ? 2 : 1) as [string, string][]) {
      await using booted = await boot(nodeBootstrap, {
        [file]: text,
        "layer/nodejs/node_modules/layered/index.js": "exports.x = 'from a layer';",
      });
      const layer = join(booted.taskRoot, "layer/nodejs/node_modules");
      expect(await booted.init({ env: { NODE_PATH: layer } })).toEqual({ type: "ready" });
      expect(bodyOf(await booted.invoke({}))).toBe("from a layer");
    }
  });

  test("runs an unmodified third-party package tree", async () => {
    const require = createRequire(import.meta.url);
    const zod = dirname(require.resolve("zod/package.json"));
    await using booted = await boot(nodeBootstrap, {
      "index.mjs":
        "import { z } from 'zod';\nconst S = z.object({ name: z.string() });\nexport const handler = async (e) => S.parse(e);",
    });
    await mkdir(join(booted.taskRoot, "node_modules"));
    await cp(zod, join(booted.taskRoot, "node_modules/zod"), { recursive: true });
    await booted.init();
    expect(bodyOf(await booted.invoke({ name: "Ada", more: 1 }))).toEqual({ name: "Ada" });
    expect(await booted.invoke({ name: 3 })).toMatchObject({ type: "error", errorType: "ZodError" });
  });

  test("reports what the module throws while loading", async () => {
    const said = await runOnce("index.js", "throw new RangeError('no config');");
    expect(said).toMatchObject({ type: "initError", errorType: "RangeError" });
    expect(bodyOf(said)).toMatchObject({ errorMessage: "no config" });
  });

  test("reports a top-level await that nothing can settle", async () => {
    const said = await runOnce("index.mjs", "await new Promise(() => {}); export const handler = () => 1;");
    expect(said).toMatchObject({ type: "initError", errorType: "Runtime.NodeJsExit" });
  });
});

describe("answering", () => {
  test.each([
    ["a promise's value", "async () => ({ a: 1 })", { a: 1 }],
    ["nothing as null", "async () => {}", null],
    ["a returned value", "() => 'sync'", "sync"],
    ["a callback's value", "(_e, _c, callback) => { setTimeout(() => callback(null, 'called'), 5); }", "called"],
    ["context.succeed", "(_e, context) => new Promise(() => context.succeed('old'))", "old"],
    ["context.done", "(_e, context) => new Promise(() => context.done(null, 'done'))", "done"],
  ])("takes %s", async (_what, handler, result) => {
    expect(bodyOf(await runOnce("index.js", `exports.handler = ${handler};`))).toEqual(result);
  });

  test.each([
    [
      "an error given to the callback",
      "(_e, _c, cb) => cb(new TypeError('x'))",
      { errorType: "TypeError", errorMessage: "x" },
    ],
    ["a thrown text", "async () => { throw 'text'; }", { errorType: "string", errorMessage: "text", trace: [] }],
    [
      "context.fail",
      "(_e, context) => new Promise(() => context.fail(new Error('f')))",
      { errorType: "Error", errorMessage: "f" },
    ],
    ["what can't be JSON", "async () => ({ n: 1n })", { errorType: "Runtime.JSONStringifyError" }],
    ["a promise that nothing can settle", "() => new Promise(() => {})", { errorType: "Runtime.NodeJsExit" }],
    [
      "an object that can't even be described",
      "async () => { throw { toString() { throw 1; } }; }",
      { errorType: "Function.Unknown" },
    ],
  ])("turns %s into an error", async (_what, handler, body) => {
    const said = await runOnce("index.js", `exports.handler = ${handler};`);
    expect(said.type).toBe("error");
    expect(bodyOf(said)).toMatchObject(body);
  });

  test("gives the trace of an error from the function's own line on", async () => {
    const said = await runOnce("index.js", "exports.handler = async () => {\n  throw new Error('here');\n};");
    const { trace } = bodyOf(said) as { trace: string[] };
    expect(trace[0]).toBe("Error: here");
    expect(trace[1]).toMatch(/index\.js:2:9/);
  });

  test("a callback's answer waits until the event loop is empty, unless told not to", async () => {
    const files = {
      "index.js": `
let ticks = 0;
exports.handler = (event, context, callback) => {
  context.callbackWaitsForEmptyEventLoop = event.wait;
  const timer = setInterval(() => { if (++ticks % 3 === 0) clearInterval(timer); }, 1);
  callback(null, ticks);
};
exports.ticks = () => ticks;`,
    };
    await using booted = await boot(nodeBootstrap, {
      ...files,
      "main.js":
        "const { handler, ticks } = require('./index.js'); exports.handler = (e, c, cb) => e.ask ? cb(null, ticks()) : handler(e, c, cb);",
    });
    await booted.init({ handler: "main.handler" });
    await booted.invoke({ wait: true });
    expect(bodyOf(await booted.invoke({ ask: true }))).toBe(3);
    const started = await booted.invoke({ wait: false });
    expect(bodyOf(started)).toBe(3);
  });

  test("an event that isn't JSON is an error of the invocation", async () => {
    await using booted = await boot(nodeBootstrap, { "index.js": "exports.handler = async () => 1;" });
    await booted.init();
    expect(await booted.send(Buffer.from("{oops"))).toMatchObject({ type: "error", errorType: "SyntaxError" });
    expect(bodyOf(await booted.invoke({}))).toBe(1);
  });
});
