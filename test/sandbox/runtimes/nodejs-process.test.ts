import { describe, expect, test } from "vitest";
import { bodyOf, boot, nodeBootstrap } from "./booted.ts";

/** Boots a handler file and runs it once. */
async function runOnce(text: string) {
  await using booted = await boot(nodeBootstrap, { "index.mjs": text });
  await booted.init();
  return await booted.invoke({ name: "Ada" });
}

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
    const said = await runOnce(`export const handler = awslambda.streamifyResponse(async (event, stream) => {
      stream.write("hello "); stream.write(event.name); stream.end(); });`);
    expect(said).toMatchObject({ type: "response", contentType: "application/octet-stream" });
    expect("payload" in said && said.payload.toString()).toBe("hello Ada");
  });

  test("puts status and headers before the body of an HTTP response", async () => {
    const said = await runOnce(`import { pipeline } from "node:stream/promises";
      import { Readable } from "node:stream";
      export const handler = awslambda.streamifyResponse(async (event, stream) => {
        const http = awslambda.HttpResponseStream.from(stream, { statusCode: 201, headers: { a: "b" } });
        await pipeline(Readable.from(["bo", "dy"]), http); });`);
    expect(said).toMatchObject({ contentType: "application/vnd.awslambda.http-integration-response" });
    const text = "payload" in said ? said.payload.toString("latin1") : "";
    expect(text).toBe(`{"statusCode":201,"headers":{"a":"b"}}${"\0".repeat(8)}body`);
  });

  test("an error in the middle is the answer", async () => {
    const said = await runOnce(`export const handler = awslambda.streamifyResponse(async (event, stream) => {
      stream.write("half"); throw new Error("broke"); });`);
    expect(bodyOf(said)).toMatchObject({ errorMessage: "broke" });
  });

  test("more than a response may hold is refused", async () => {
    const said = await runOnce(`export const handler = awslambda.streamifyResponse(async (event, stream) => {
      for (let i = 0; i < 7; i++) stream.write(Buffer.alloc(1 << 20)); stream.end(); });`);
    expect(said).toMatchObject({ type: "error", errorType: "Function.ResponseSizeTooLarge" });
  });
});

test("source maps can be had without a fresh process", async () => {
  await using booted = await boot(nodeBootstrap, {
    "index.js": "exports.handler = async () => process.sourceMapsEnabled;",
  });
  await booted.init({ env: { NODE_OPTIONS: "--enable-source-maps" } });
  expect(bodyOf(await booted.invoke({}))).toBe(true);
});
