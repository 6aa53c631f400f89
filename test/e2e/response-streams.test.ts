/** Responses as they are produced, over NATS, as any NATS client asks for them. */
import { once } from "node:events";
import type { Readable } from "node:stream";
import type { NatsConnection } from "nats";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { startCli } from "../cli/run-cli.ts";
import { deploy } from "../support/functions.ts";
import { errorOf, header, stream as streamOf } from "../support/streamed.ts";
import { type RunningSystem, startMayfly } from "../support/system.ts";

let system: RunningSystem;
let nats: NatsConnection;
let platform: NatsConnection;

const MIB = 1024 * 1024;

const FILES = {
  "index.mjs": `
    export const counts = awslambda.streamifyResponse(async (event, stream) => {
      for (let at = 0; at < event.to; at++) stream.write(at + "\\n");
      stream.end();
    });
    export const waits = awslambda.streamifyResponse(async (event, stream) => {
      stream.setContentType("text/plain");
      stream.write("first");
      await new Promise((resolve) => setTimeout(resolve, 60_000));
      stream.end("last");
    });
    export const fails = awslambda.streamifyResponse(async (event, stream) => {
      stream.write("half");
      throw new TypeError("broke");
    });
    export const exits = awslambda.streamifyResponse(async (event, stream) => {
      stream.write("last words");
      process.exit(7);
    });
    export const large = awslambda.streamifyResponse(async (event, stream) => {
      for (let at = 0; at < event.mib; at++) {
        if (!stream.write(Buffer.alloc(1024 * 1024, 97 + (at % 26)))) await new Promise((done) => stream.once("drain", done));
      }
      stream.end();
    });
    export const endless = awslambda.streamifyResponse(async (event, stream) => {
      for (;;) {
        if (!stream.write(Buffer.alloc(64 * 1024))) await new Promise((done) => stream.once("drain", done));
      }
    });
    export const page = awslambda.streamifyResponse(async (event, stream) => {
      const http = awslambda.HttpResponseStream.from(stream, { statusCode: 201 });
      http.write("body");
      http.end();
    });
    export const plain = async (event) => event;
    export const plainFails = async () => { throw new RangeError("no"); };
  `,
};

beforeAll(async () => {
  system = await startMayfly();
  nats = await system.connect();
  platform = await system.connect("platform");
  const of = (name: string, handler = name, timeout = 20) =>
    deploy(platform, { name, files: FILES, handler: `index.${handler}`, timeout });
  await Promise.all([
    of("counts"),
    of("waits", "waits", 2),
    of("fails"),
    of("exits"),
    of("large"),
    of("endless", "endless", 3),
    of("page"),
    of("plain"),
    of("plain-fails", "plainFails"),
  ]);
});
afterAll(() => system?.[Symbol.asyncDispose]());

const stream = (fn: string, event?: object) => streamOf(nats, fn, event);

describe("a response that is streamed", () => {
  test("comes while the function still runs, and its time-out ends it by name", async () => {
    const waiting = stream("waits");
    await vi.waitUntil(() => waiting.came.length > 0, 10_000);
    expect(waiting.came.map((message) => message.string())).toEqual(["first"]);
    expect(header(waiting.came[0], "Mayfly-Event-Type")).toBe("PayloadChunk");
    expect(header(waiting.came[0], "Content-Type")).toBe("text/plain");
    const { body, end } = await waiting.all();
    expect(body.toString()).toBe("first");
    expect(errorOf(end)).toEqual(["Unhandled", "Sandbox.Timedout"]);
  });

  test("ends with the headers of any answer, and every message is numbered", async () => {
    const { chunks, end } = await stream("counts", { to: 5000 }).all();
    expect(Buffer.concat(chunks.map(({ data }) => data)).toString()).toBe(
      Array.from({ length: 5000 }, (_, at) => `${at}\n`).join(""),
    );
    const sequence = [...chunks, end].map((message) => Number(header(message, "Mayfly-Sequence")));
    expect(sequence).toEqual(sequence.map((_, at) => at + 1));
    const id = header(end, "X-Amzn-RequestId");
    expect(new Set(chunks.map((chunk) => header(chunk, "X-Amzn-RequestId")))).toEqual(new Set([id]));
    expect(header(end, "X-Amz-Executed-Version")).toBe("$LATEST");
    expect(header(end, "Mayfly-Start")).toBe("cold");
    expect(header(end, "Mayfly-Receipt")).toMatch(/^queued=\d+us; /);
    expect(header(end, "X-Amz-Function-Error")).toBeUndefined();
  });

  test("may be larger than a buffered one, in messages far below the server's maximum", async () => {
    const { chunks, body, end } = await stream("large", { mib: 8 }).all();
    expect(body.length).toBe(8 * MIB);
    expect(body.subarray(7 * MIB).every((byte) => byte === 97 + 7)).toBe(true);
    expect(Math.max(...chunks.map(({ data }) => data.length))).toBeLessThanOrEqual(128 * 1024);
    expect(header(end, "X-Amz-Function-Error")).toBeUndefined();
  });

  test("puts status and headers before the body of an HTTP response", async () => {
    const { chunks, body } = await stream("page").all();
    expect(header(chunks[0], "Content-Type")).toBe("application/vnd.awslambda.http-integration-response");
    expect(body.toString("latin1")).toBe(`{"statusCode":201}${"\0".repeat(8)}body`);
  });

  test("that nobody asked for comes in one message", async () => {
    const reply = await nats.request("mayfly.invoke.counts", '{"to":3}', { timeout: 20_000 });
    expect(reply.string()).toBe("0\n1\n2\n");
    expect(header(reply, "Mayfly-Event-Type")).toBeUndefined();
    const large = await nats.request("mayfly.invoke.large", '{"mib":7}', { timeout: 20_000 });
    expect(errorOf(large)).toEqual(["Unhandled", "Function.ResponseSizeTooLarge"]);
  });

  test("of a function that doesn't stream is one chunk and the end", async () => {
    const { chunks, body, end } = await stream("plain", { a: 1 }).all();
    expect(chunks).toHaveLength(1);
    expect(body.toString()).toBe('{"a":1}');
    expect(end.data).toHaveLength(0);
    const failed = await stream("plain-fails").all();
    expect([failed.chunks, ...errorOf(failed.end)]).toEqual([[], "Unhandled", "RangeError"]);
  });
});

describe("a stream that breaks", () => {
  test.each([
    { fn: "fails", before: "half", type: "TypeError" },
    { fn: "exits", before: "last words", type: "Runtime.ExitError" },
  ])("is ended by name: $type", async ({ fn, before, type }) => {
    const { body, end } = await stream(fn).all();
    expect(body.toString()).toBe(before);
    expect(errorOf(end)).toEqual(["Unhandled", type]);
    expect(header(end, "Mayfly-Event-Type")).toBe("InvokeComplete");
    expect(header(end, "Mayfly-Sequence")).toBe("2");
  });

  test("that never ends is ended by its time, and its neighbours are served", async () => {
    const endless = stream("endless");
    await vi.waitUntil(() => endless.came.length > 100, 10_000);
    const neighbour = await nats.request("mayfly.invoke.plain", '{"b":2}', { timeout: 10_000 });
    expect(neighbour.json()).toEqual({ b: 2 });
    const { end, body } = await endless.all();
    expect(errorOf(end)).toEqual(["Unhandled", "Sandbox.Timedout"]);
    expect(body.length).toBeLessThan(20 * MIB);
    const again = await stream("endless").all();
    expect(header(again.end, "Mayfly-Start")).toBe("cold");
  });

  test("whose caller has gone runs to its end, as on Lambda, and the sandbox takes the next invocation", async () => {
    const left = stream("large", { mib: 7 });
    await vi.waitUntil(() => left.came.length > 0, 10_000);
    left.leave();
    const sandbox = async () => {
      const { end, body } = await stream("large", { mib: 1 }).all();
      return [header(end, "Mayfly-Start"), header(end, "X-Amz-Function-Error"), body.length];
    };
    expect((await sandbox())[2]).toBe(MIB);
    expect(await sandbox()).toEqual(["warm", undefined, MIB]);
  });

  test("is refused like any invocation, where there is nothing to run", async () => {
    const { chunks, end } = await stream("nowhere").all();
    expect(chunks).toEqual([]);
    expect(header(end, "Nats-Service-Error")).toMatch(/^ResourceNotFoundException: /);
    expect(header(end, "Mayfly-Event-Type")).toBe("InvokeComplete");
  });
});

describe("mayfly invoke --stream", () => {
  test("prints the answer while the function still runs, and its error on stderr", async () => {
    const waiting = startCli(["invoke", "waits", "--stream"], { env: { MAYFLY_HOME: system.home.root } });
    let stderr = "";
    waiting.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    const [seen] = await once(waiting.stdout as Readable, "data");
    expect([String(seen), waiting.exitCode]).toEqual(["first", null]);
    expect(await once(waiting, "close")).toEqual([1, null]);
    expect(stderr).toContain('"errorType":"Sandbox.Timedout"');
  });

  test("ends as invoke does", async () => {
    const counted = await system.mayfly("invoke", "counts", '{"to":3}', "--stream", "-q");
    expect(counted).toEqual({ code: 0, stdout: "0\n1\n2\n", stderr: "" });
    const failed = await system.mayfly("invoke", "fails", "--stream", "-q");
    expect(failed).toMatchObject({ code: 1, stdout: "half", stderr: expect.stringContaining("TypeError") });
    expect(await system.mayfly("invoke", "nowhere", "--stream")).toMatchObject({ code: 3, stdout: "" });
    expect(await system.mayfly("invoke", "counts", "--stream", "--json")).toMatchObject({ code: 2 });
  });
});
