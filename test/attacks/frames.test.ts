/**
 * Attacks on our own protocol: a function finds the descriptor its runtime speaks frames over (actors/sandbox/frames.ts),
 * and speaks itself. It may harm its own invocation; nobody else may notice.
 */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Attacked, startAttacked, underEachDriver } from "./attacked.ts";

/** Words in front of an attack: writes frames, or what only looks like them, past the runtime. */
const FORGE = `
  const { writeSync } = require("node:fs");
  const put = (bytes) => { for (let at = 0; at < bytes.length; ) try { at += writeSync(3, bytes, at); } catch (error) { if (error.code !== "EAGAIN") throw error; } };
  const short = (text) => { const bytes = Buffer.from(text); return Buffer.concat([Buffer.of(bytes.length), bytes]); };
  const frame = (type, ...parts) => { const body = Buffer.concat(parts.map((part) => Buffer.from(part))); const head = Buffer.alloc(5); head.writeUInt32BE(1 + body.length); head[4] = type; return Buffer.concat([head, body]); };
  const response = (id, payload) => frame(0x13, short(id), short(""), payload);
  const failure = (id, type, payload) => frame(0x14, short(id), short(type), payload);
  const mine = context.awsRequestId;
  const later = (ms) => new Promise((done) => setTimeout(done, ms));
`;

underEachDriver("under %s, a function that forges frames", (driver) => {
  let attacked: Attacked;
  beforeAll(async () => {
    attacked = await startAttacked({ MAYFLY_SANDBOX: driver });
  });
  afterAll(() => attacked?.[Symbol.asyncDispose]());
  afterEach(() => attacked.isUnharmed());

  const forger = (body: string, plan = {}) => attacked.node(`${FORGE}\n${body}`, { timeout: 2, ...plan });
  /** Has the time that a slow machine takes for an answer: its time-out isn't what ends it. */
  const patient = (body: string) => forger(body, { timeout: 20 });

  test("answers to invocations that don't run reach nobody", async () => {
    const victim = await attacked.node(`return new Promise((done) => setTimeout(done, 1000, context.awsRequestId));`);
    const running = attacked.invoke(victim);
    const fn = await patient(`
      for (const id of event.ids) { put(response(id, '"forged"')); put(failure(id, "Forged", '{}')); }
      return "own";`);
    const ids = ["", "0", "00000000-0000-0000-0000-000000000000", attacked.nats.info?.server_id ?? "", "x".repeat(255)];
    const forged = await attacked.invoke(fn, { ids });
    expect(forged.value ?? forged.error?.errorType).toMatch(/^(own|Runtime\.ExitError)$/);
    const { value, reply } = await running;
    expect(value).toBe(reply.headers?.get("X-Amzn-RequestId"));
  });

  test("one that answers twice is heard once, and its next call gets its own answer", async () => {
    const fn = await patient(`
      if (event.n > 1) return "honest " + event.n;
      put(response(mine, '"first"')); put(response(mine, '"second"')); put(failure(mine, "Third", "{}"));
      return "fourth";`);
    expect((await attacked.invoke(fn, { n: 1 })).value).toBe("first");
    for (const n of [2, 3]) {
      const { value, error } = await attacked.invoke(fn, { n });
      expect(value ?? error?.errorType).toMatch(/^(honest \d|Runtime\.ExitError)$/);
    }
  });

  test("one that keeps an id for later can't answer the call after it", async () => {
    const fn = await patient(`
      const before = globalThis.before; globalThis.before = mine;
      if (before) { put(response(before, '"stale"')); await later(50); }
      return mine;`);
    for (let n = 0; n < 3; n++) {
      const { value, reply } = await attacked.invoke(fn);
      expect(value).toBe(reply.headers?.get("X-Amzn-RequestId"));
    }
  });

  test.each([
    ["announces four gigabytes", "Buffer.from([0xff, 0xff, 0xff, 0xff, 0x13])"],
    [
      "announces one byte more than is allowed",
      "(() => { const head = Buffer.alloc(5); head.writeUInt32BE(6291556 + 65536 + 1); head[4] = 0x13; return head; })()",
    ],
    ["announces nothing", "Buffer.alloc(4)"],
    ["uses a type that isn't there", 'frame(0x7f, "x")'],
    ["speaks the worker's own words", 'frame(0x01, "{}")'],
    ["sends a log without a level", "frame(0x15, Buffer.alloc(20, 0xff))"],
    ["sends texts longer than their frame", "frame(0x13, Buffer.of(255), 'short')"],
    ["sends an end that is none", "frame(0x16, '[[[[')"],
    ["speaks HTTP", '"GET / HTTP/1.1\\r\\n\\r\\n"'],
    ["sends noise", 'require("node:crypto").randomBytes(1 << 16)'],
  ])("one that %s is ended, and told so", async (_, bytes) => {
    const fn = await forger(`put(Buffer.from(${bytes})); await later(5000); return "undisturbed";`, { timeout: 3 });
    const { value, error } = await attacked.invoke(fn);
    expect(value).toBeUndefined();
    expect(error?.errorType).toMatch(/^(Runtime\.ExitError|Sandbox\.Timedout)$/);
    expect((await attacked.logUntil(fn, /^REPORT/)).join("\n")).toMatch(/frame/i);
    await attacked.remove(fn);
  });

  test("one that begins a great frame and never ends it waits for its time-out alone", async () => {
    const fn = await forger(`
      const head = Buffer.alloc(5); head.writeUInt32BE(6000000); head[4] = 0x13;
      put(head); put(Buffer.alloc(5000000)); return "never heard";`);
    expect((await attacked.invoke(fn)).error?.errorType).toBe("Sandbox.Timedout");
  });

  test("one that sends its frames byte by byte is understood", async () => {
    const fn = await patient(`
      const bytes = response(mine, '"in pieces"');
      for (const byte of bytes) { put(Buffer.of(byte)); await later(1); }
      await later(1000); return "whole";`);
    expect((await attacked.invoke(fn)).value).toBe("in pieces");
  });

  test("one that says it is ready, failed its init or ended, while it runs, harms itself only", async () => {
    const acts = {
      ready: 'put(frame(0x11)); return "own";',
      "ready twice": 'put(frame(0x11)); put(frame(0x11)); return "own";',
      "init failed": 'put(frame(0x12, short("Forged"), "{}")); await later(1000); return "own";',
      "init failed at length":
        'put(frame(0x12, short("Forged"), Buffer.alloc(6 << 20, "x"))); await later(1000); return "own";',
      ended: "put(frame(0x16, JSON.stringify({ code: 0, signal: null }))); process.exit(9);",
      "ended by a signal of its own":
        'put(frame(0x16, JSON.stringify({ code: null, signal: "x".repeat(100000) }))); process.exit(9);',
    };
    for (const [name, act] of Object.entries(acts)) {
      const fn = await forger(act);
      const { value, error, refused } = await attacked.invoke(fn);
      expect(refused, name).toBeUndefined();
      expect(value ?? error, name).toBeDefined();
      await attacked.isUnharmed();
      await attacked.remove(fn);
    }
  });

  test("what it says of itself can't become another header, another log line's beginning or a broken answer", async () => {
    const fn = await forger(
      `put(failure(mine, "Bad\\r\\nX-Amz-Executed-Version: 99\\r\\n", '{"errorType":"x"}')); await later(500);`,
    );
    const { reply, refused } = await attacked.invoke(fn);
    expect(refused).toBeUndefined();
    expect(reply.headers?.get("X-Amz-Executed-Version")).toBe("$LATEST");
    const report = (await attacked.logUntil(fn, /^REPORT/)).filter((line) => line.startsWith("REPORT"));
    expect(report).toEqual([expect.stringContaining("Error Type: Runtime.Unknown")]);
  });

  test("an error of bytes that grow when they are read is answered by name", async () => {
    const fn = await forger(`put(failure(mine, "Grows", Buffer.alloc(6 << 20, 0xff))); await later(1000);`, {
      memory: 512,
    });
    const { value, refused, error } = await attacked.invoke(fn);
    expect(value).toBeUndefined();
    expect(refused).toBeUndefined();
    expect(error).toBeDefined();
  });

  test("answers that aren't JSON, or are larger than allowed, come from the function and not from a broken platform", async () => {
    const body = `put(response(mine, Buffer.alloc(event.bytes, 0x01))); await later(1000);`;
    const noise = await attacked.invoke(await forger(body), { bytes: 100 });
    expect([noise.refused, noise.error]).toEqual([undefined, undefined]);
    const large = await attacked.invoke(await forger(body, { memory: 512, timeout: 20 }), { bytes: 6_291_557 });
    expect(large.error?.errorType).toBe("Function.ResponseSizeTooLarge");
  });

  test("one that closes, shuts or steals the descriptor costs itself its invocation", async () => {
    const acts = {
      close: 'require("node:fs").closeSync(3); return "x";',
      read: 'const stolen = new (require("node:net").Socket)({ fd: 3 }); stolen.on("data", () => {}); stolen.resume(); return "x";',
      destroy: 'new (require("node:net").Socket)({ fd: 3 }).destroy(); return "x";',
    };
    for (const [name, act] of Object.entries(acts)) {
      const fn = await forger(act, { timeout: 1 });
      const first = await attacked.invoke(fn);
      const second = await attacked.invoke(fn);
      for (const { refused } of [first, second]) expect(refused, name).toBeUndefined();
      await attacked.isUnharmed();
      await attacked.remove(fn);
    }
  });

  test("pieces of a response that nobody asked for cost the function its process, and reach nobody", async () => {
    const fn = await forger(`put(frame(0x19, short(mine), short(""), '"piece"')); await later(60_000);`);
    const { error, reply } = await attacked.invoke(fn);
    expect(error?.errorType).toBe("Runtime.ExitError");
    expect(reply.headers?.get("Mayfly-Event-Type")).toBe("");
  });

  test("a flood of frames that mean nothing leaves the neighbour served, and ends with the time-out", async () => {
    const flood = (each: string) => `
      const bytes = Buffer.concat(Array(5000).fill(${each}));
      const end = Date.now() + 1500;
      while (Date.now() < end) put(bytes);
      return "flooded";`;
    for (const each of [
      "frame(0x11)",
      'response("nobody", "1")',
      'frame(0x19, short(mine), short(""), "x")',
      'frame(0x15, Buffer.alloc(10, 0), short(""), "x")',
      'frame(0x16, "{\\"code\\":0,\\"signal\\":null}")',
    ]) {
      const fn = await forger(flood(each), { timeout: 2 });
      const attack = attacked.invoke(fn);
      for (let n = 0; n < 10; n++) await attacked.isUnharmed();
      expect((await attack).refused).toBeUndefined();
      await attacked.remove(fn);
    }
  });
});
