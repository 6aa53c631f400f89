/** Large streamed responses: readers who say how far they have come, Lambda's limit, and what is lost on the way. */
import type { NatsConnection } from "nats";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import {
  MAX_CHUNK_BYTES,
  MAX_STREAM_BYTES,
  READER_AWAITED,
  READER_PATIENCE_MS,
  WINDOW_BYTES,
} from "../../subjects/response-stream.ts";
import { startCli } from "../cli/run-cli.ts";
import { deploy } from "../support/functions.ts";
import { kill } from "../support/processes.ts";
import { errorOf, header, type Reading, stream as streamOf } from "../support/streamed.ts";
import { type RunningSystem, startMayfly } from "../support/system.ts";

let system: RunningSystem;
let nats: NatsConnection;

const MIB = 1024 * 1024;

const FILES = {
  "index.mjs": `
    export const large = awslambda.streamifyResponse(async (event, stream) => {
      const piece = Buffer.alloc(1024 * 1024, "x");
      for (let left = event.bytes; left > 0; left -= piece.length) {
        if (!stream.write(piece.subarray(0, left))) await new Promise((done) => stream.once("drain", done));
      }
      console.log("all is written");
      stream.end();
    });
    export const hangs = awslambda.streamifyResponse(async (event, stream) => {
      stream.write("first");
      await new Promise((resolve) => setTimeout(resolve, 50_000));
    });
  `,
};

beforeAll(async () => {
  // As quickly as it can be: what is tested are bytes, not minutes.
  system = await startMayfly({ env: { MAYFLY_ZONES: "a", MAYFLY_STREAM_RATE: "64", MAYFLY_HEARTBEAT: "300" } });
  nats = await system.connect();
  const platform = await system.connect("platform");
  const of = (name: string) => deploy(platform, { name, files: FILES, handler: `index.${name}`, timeout: 60 });
  await Promise.all([of("large"), of("hangs")]);
});
afterAll(() => system?.[Symbol.asyncDispose]());

const stream = (fn: string, event: object, reading: Reading) => streamOf(nats, fn, event, reading);
const acknowledge = (at: string) => nats.publish(at);

/** The lines of `large`'s log from now on. */
function logOf(fn: string): { readonly lines: string[]; leave(): void } {
  const lines: string[] = [];
  const subscription = nats.subscribe(`mayfly.*.logs.${fn}.*`, {
    callback: (_, line) => void lines.push(line.string()),
  });
  return { lines, leave: () => subscription.unsubscribe() };
}

describe("a reader who acknowledges", () => {
  test("never has more than a window before him, and gets all of it", async () => {
    const asked: string[] = [];
    let [unread, most] = [0, 0];
    // Reads on only when nothing more can come.
    const slow = stream(
      "large",
      { bytes: 8 * MIB },
      {
        acknowledge: (at, bytes) => {
          unread += bytes;
          most = Math.max(most, unread);
          asked.push(at);
          if (unread + MAX_CHUNK_BYTES < WINDOW_BYTES) return;
          unread = 0;
          for (const each of asked.splice(0)) acknowledge(each);
        },
      },
    );
    const { end, body } = await slow.all();
    expect([body.length, header(end, "X-Amz-Function-Error")]).toEqual([8 * MIB, undefined]);
    expect(most).toBeLessThanOrEqual(WINDOW_BYTES + 2 * MAX_CHUNK_BYTES);
    expect(most).toBeGreaterThanOrEqual(WINDOW_BYTES - MAX_CHUNK_BYTES);
  });

  test("and hears of no acknowledgement but his own holds the function back, not its neighbours", async () => {
    const log = logOf("large");
    const stuck: string[] = [];
    const held = stream("large", { bytes: 4 * MIB }, { acknowledge: (at) => stuck.push(at) });
    await vi.waitUntil(() => held.bytes() > WINDOW_BYTES, 10_000);
    const neighbour = await stream("large", { bytes: 4 * MIB }, { acknowledge }).all();
    expect(neighbour.body.length).toBe(4 * MIB);
    expect(held.bytes()).toBeLessThanOrEqual(WINDOW_BYTES + MAX_CHUNK_BYTES);
    expect(log.lines.filter((line) => line.includes("all is written"))).toHaveLength(1);
    log.leave();
    held.leave();
  });

  test("and goes ends the response by name, and the function runs to its end", async () => {
    const log = logOf("large");
    const asked: string[] = [];
    const left = stream("large", { bytes: 6 * MIB }, { acknowledge: (at) => asked.push(at) });
    await vi.waitUntil(() => left.bytes() > WINDOW_BYTES, 10_000);
    left.leave();
    // More comes, and the server says that nobody is there.
    for (const at of asked) acknowledge(at);
    const report = () => log.lines.find((line) => line.includes("REPORT"));
    await vi.waitUntil(() => report() !== undefined, 10_000);
    log.leave();
    expect(report()).toContain("Error Type: Sandbox.ReaderLost");
    expect(log.lines.some((line) => line.includes("all is written"))).toBe(true);
    const { end, body } = await stream("large", { bytes: MIB }, { acknowledge }).all();
    expect([header(end, "Mayfly-Start"), body.length]).toEqual(["warm", MIB]);
  });

  test("and is killed while he is waited for is noticed by the server's word, long before anybody's patience ends", async () => {
    const log = logOf("large");
    const platform = await system.connect("platform");
    const asked = Promise.withResolvers<void>();
    // Whoever listens beside him would be taken for him: only until it is known that he is waited for.
    const listener = platform.subscribe("_INBOX.>", {
      callback: (_, message) => {
        if (header(message, "Mayfly-Event-Type") === READER_AWAITED) asked.resolve();
      },
    });
    await platform.flush();
    // What it prints is read by nobody.
    const cli = startCli(["invoke", "large", `{"bytes":${64 * MIB}}`, "--stream", "-q"], {
      env: { MAYFLY_HOME: system.home.root },
    });
    await asked.promise;
    listener.unsubscribe();
    await platform.flush();
    cli.kill("SIGKILL");
    const isLost = () => log.lines.some((line) => line.includes("Error Type: Sandbox.ReaderLost"));
    await vi.waitUntil(isLost, READER_PATIENCE_MS / 3);
    log.leave();
  });

  test("as `mayfly invoke --stream` is one, whatever reads its output", async () => {
    const cli = startCli(["invoke", "large", `{"bytes":${8 * MIB}}`, "--stream", "-q"], {
      env: { MAYFLY_HOME: system.home.root },
    });
    let bytes = 0;
    for await (const piece of cli.stdout ?? []) bytes += (piece as Buffer).length;
    expect(bytes).toBe(8 * MIB);
  });
});

describe("a response of Lambda's limit", () => {
  test("comes whole, and one byte more is ended by name", async () => {
    const whole = stream("large", { bytes: MAX_STREAM_BYTES }, { acknowledge, forgets: true });
    const { end } = await whole.all();
    expect([whole.bytes(), header(end, "X-Amz-Function-Error")]).toEqual([MAX_STREAM_BYTES, undefined]);
    const more = stream("large", { bytes: MAX_STREAM_BYTES + 1 }, { acknowledge, forgets: true });
    const ended = await more.all();
    expect(errorOf(ended.end)).toEqual(["Unhandled", "Function.ResponseSizeTooLarge"]);
    expect(more.bytes()).toBeGreaterThan(MAX_STREAM_BYTES - MIB);
    expect(more.bytes()).toBeLessThanOrEqual(MAX_STREAM_BYTES);
    const again = await stream("large", { bytes: MIB }, { acknowledge }).all();
    expect([header(again.end, "Mayfly-Start"), again.body.length]).toEqual(["cold", MIB]);
  }, 120_000);
});

describe("after kill -9 of the worker that streams", () => {
  test("the caller is told by name after what came so far, and is served again", async () => {
    const broken = stream("hangs", {}, { acknowledge });
    await vi.waitUntil(() => broken.came.length > 0, 10_000);
    await kill(system.home, "run", "worker");
    const { body, end } = await broken.all();
    expect(body.toString()).toBe("first");
    expect(header(end, "Nats-Service-Error")).toMatch(
      /^ServiceException: worker \S+ was lost while it ran the function$/,
    );
    expect(header(end, "Mayfly-Event-Type")).toBe("InvokeComplete");
    const again = async () => (await stream("large", { bytes: MIB }, { acknowledge }).all()).body.length;
    await expect.poll(again, { timeout: 20_000 }).toBe(MIB);
  });
});
