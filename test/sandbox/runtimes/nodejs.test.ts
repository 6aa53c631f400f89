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

describe("dying", () => {
  test("an unhandled rejection ends the process with 128 and says why", async () => {
    await using booted = await boot(nodeBootstrap, {
      "index.js":
        "exports.handler = () => { Promise.reject(new Error('lost')); return new Promise((r) => setTimeout(r, 1e6)); };",
    });
    await booted.init();
    const said = await booted.invoke({});
    expect(said).toMatchObject({ type: "error", errorType: "Runtime.UnhandledPromiseRejection" });
    expect(bodyOf(said)).toMatchObject({ errorMessage: "Error: lost" });
    expect(await booted.next()).toEqual({ type: "ended", code: 128, signal: null });
  });

  test("an uncaught exception ends the process with 129 and says why", async () => {
    await using booted = await boot(nodeBootstrap, {
      "index.js": "exports.handler = () => new Promise(() => setImmediate(() => { throw new TypeError('late'); }));",
    });
    await booted.init();
    expect(bodyOf(await booted.invoke({}))).toMatchObject({ errorType: "TypeError", errorMessage: "late" });
    expect(await booted.next()).toEqual({ type: "ended", code: 129, signal: null });
  });

  test("what was logged before process.exit has arrived", async () => {
    await using booted = await boot(nodeBootstrap, {
      "index.js":
        "exports.handler = () => { for (let i = 0; i < 2000; i++) console.log('x'.repeat(500), i); process.exit(7); };",
    });
    await booted.init();
    expect(await booted.invoke({})).toMatchObject({ type: "ended", code: 7 });
    expect(booted.logs).toHaveLength(2000);
    expect(booted.logs.at(-1)?.text).toMatch(/ 1999$/);
  });
});

describe("logging", () => {
  test("text carries time, request, level and message, many lines in one", async () => {
    await using booted = await boot(nodeBootstrap, {
      "index.js":
        "console.log('loading');\nexports.handler = async () => { console.warn('two\\nlines %d', 2, { a: 1 }); };",
    });
    await booted.init();
    await booted.invoke({});
    const [loading, warning] = booted.logs;
    expect(loading).toMatchObject({ level: "INFO", requestId: "" });
    expect(loading?.text).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]{12}Z\t-\tINFO\tloading$/);
    expect(warning).toMatchObject({ level: "WARN", requestId: "request-1" });
    expect(warning?.text).toMatch(/Z\trequest-1\tWARN\ttwo\nlines 2 \{ a: 1 \}$/);
    expect(Math.abs(warning!.at - Date.now())).toBeLessThan(10_000);
  });

  test("a failed invocation is logged with its error", async () => {
    await using booted = await boot(nodeBootstrap, {
      "index.js": "exports.handler = async () => { throw Object.assign(new Error('no'), { code: 'E1' }); };",
    });
    await booted.init();
    await booted.invoke({});
    expect(booted.logs[0]?.level).toBe("ERROR");
    const [, , , title, json] = booted.logs[0]!.text.split("\t");
    expect(title).toBe("Invoke Error ");
    expect(JSON.parse(json!)).toMatchObject({ errorType: "Error", errorMessage: "no", code: "E1" });
  });

  test("JSON lines hold objects as they are, and errors by type, message and trace", async () => {
    await using booted = await boot(nodeBootstrap, {
      "index.js":
        "exports.handler = async () => { console.debug('quiet'); console.info({ user: 7 }); console.error('bad', new RangeError('far')); };",
    });
    await booted.init({ logFormat: "JSON", logLevel: "INFO" });
    await booted.invoke({}, { tenantId: "blue" });
    const lines = booted.logs.map((log) => JSON.parse(log.text));
    expect(lines).toMatchObject([
      { level: "INFO", requestId: "request-1", tenantId: "blue", message: { user: 7 } },
      { level: "ERROR", errorType: "RangeError", errorMessage: "far" },
    ]);
  });

  test("a message longer than a log event is cut between characters", async () => {
    await using booted = await boot(nodeBootstrap, {
      "index.js": "exports.handler = async () => { console.log('ü'.repeat(300_000)); };",
    });
    await booted.init();
    await booted.invoke({});
    expect(booted.logs.map((log) => log.text).join("")).toMatch(/\tü{300000}$/);
    expect(booted.logs.length).toBeGreaterThan(2);
  });
});

describe("streaming", () => {
  test("gathers a streamed response", async () => {
    const said = await runOnce(
      "index.mjs",
      `export const handler = awslambda.streamifyResponse(async (event, stream) => {
      stream.write("hello "); stream.write(event.name); stream.end(); });`,
    );
    expect(said).toMatchObject({ type: "response", contentType: "application/octet-stream" });
    expect("payload" in said && said.payload.toString()).toBe("hello Ada");
  });

  test("puts status and headers before the body of an HTTP response", async () => {
    const said = await runOnce(
      "index.mjs",
      `import { pipeline } from "node:stream/promises";
      import { Readable } from "node:stream";
      export const handler = awslambda.streamifyResponse(async (event, stream) => {
        const http = awslambda.HttpResponseStream.from(stream, { statusCode: 201, headers: { a: "b" } });
        await pipeline(Readable.from(["bo", "dy"]), http); });`,
    );
    expect(said).toMatchObject({ contentType: "application/vnd.awslambda.http-integration-response" });
    const text = "payload" in said ? said.payload.toString("latin1") : "";
    expect(text).toBe(`{"statusCode":201,"headers":{"a":"b"}}${"\0".repeat(8)}body`);
  });

  test("an error in the middle is the answer", async () => {
    const said = await runOnce(
      "index.mjs",
      `export const handler = awslambda.streamifyResponse(async (event, stream) => {
      stream.write("half"); throw new Error("broke"); });`,
    );
    expect(bodyOf(said)).toMatchObject({ errorMessage: "broke" });
  });

  test("more than a response may hold is refused", async () => {
    const said = await runOnce(
      "index.mjs",
      `export const handler = awslambda.streamifyResponse(async (event, stream) => {
      for (let i = 0; i < 7; i++) stream.write(Buffer.alloc(1 << 20)); stream.end(); });`,
    );
    expect(said).toMatchObject({ type: "error", errorType: "Function.ResponseSizeTooLarge" });
  });
});

describe("a fresh process inside the sandbox", () => {
  test("a wrapper script starts the runtime", async () => {
    await using booted = await boot(nodeBootstrap, {
      wrapper: '#!/bin/sh\nexport WRAPPED=yes\nexec "$@"\n',
      "index.js": "exports.handler = async () => process.env.WRAPPED;",
    });
    expect(await booted.init({ env: { AWS_LAMBDA_EXEC_WRAPPER: join(booted.taskRoot, "wrapper") } })).toEqual({
      type: "ready",
    });
    expect(bodyOf(await booted.invoke({}))).toBe("yes");
  });

  test("a missing wrapper ends the sandbox with 127", async () => {
    await using booted = await boot(nodeBootstrap, { "index.js": "exports.handler = async () => 1;" });
    expect(await booted.init({ env: { AWS_LAMBDA_EXEC_WRAPPER: "/nowhere/wrapper" } })).toMatchObject({
      type: "ended",
      code: 127,
    });
  });

  test("Node options are honoured", async () => {
    await using booted = await boot(nodeBootstrap, {
      "hook.cjs": "globalThis.hooked = true;",
      "index.js":
        "exports.handler = async () => [globalThis.hooked, 'NODE_OPTIONS' in process.env, '_MAYFLY_INIT' in process.env];",
    });
    await booted.init({ env: { NODE_OPTIONS: `--require ${join(booted.taskRoot, "hook.cjs")}` } });
    expect(bodyOf(await booted.invoke({}))).toEqual([true, true, false]);
  });

  test("source maps can be had without one", async () => {
    await using booted = await boot(nodeBootstrap, {
      "index.js": "exports.handler = async () => process.sourceMapsEnabled;",
    });
    await booted.init({ env: { NODE_OPTIONS: "--enable-source-maps" } });
    expect(bodyOf(await booted.invoke({}))).toBe(true);
  });
});
