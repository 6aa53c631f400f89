/**
 * Streams without end, from functions that write frames past their runtime: a caller asked for them, so that every byte is
 * wanted. They may cost the function its time, and neither the worker its memory nor the neighbour his answers.
 */
import { readFile } from "node:fs/promises";
import { createInbox, headers, type Msg } from "nats";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Attacked, startAttacked, underEachDriver } from "./attacked.ts";

const MIB = 1024 * 1024;

/** Writes frames of one kind, over and over, as fast as they are taken. */
const flood = (each: string) => `
  const { writeSync } = require("node:fs");
  const short = (text) => Buffer.concat([Buffer.of(Buffer.byteLength(text)), Buffer.from(text)]);
  const frame = (type, ...parts) => { const body = Buffer.concat(parts); const head = Buffer.alloc(5); head.writeUInt32BE(1 + body.length); head[4] = type; return Buffer.concat([head, body]); };
  const chunk = (bytes) => frame(0x19, short(context.awsRequestId), short(""), bytes);
  const log = frame(0x15, Buffer.alloc(9), short(""), Buffer.from("x"));
  const frames = ${each};
  for (;;) {
    for (let at = 0; at < frames.length; ) {
      try { at += writeSync(3, frames, at); } catch (error) { if (error.code !== "EAGAIN") throw error; }
    }
  }`;

underEachDriver("under %s, a function that streams without end", (driver) => {
  let attacked: Attacked;
  beforeAll(async () => {
    attacked = await startAttacked({ MAYFLY_SANDBOX: driver });
  });
  afterAll(() => attacked?.[Symbol.asyncDispose]());

  /** What came in bytes, and the end. */
  async function streamed(fn: string) {
    const ended = Promise.withResolvers<{ bytes: number; end: Msg }>();
    const inbox = createInbox();
    let bytes = 0;
    const subscription = attacked.nats.subscribe(inbox, {
      callback: (_, message) => {
        if (message.headers?.get("Mayfly-Event-Type") !== "PayloadChunk") ended.resolve({ bytes, end: message });
        else bytes += message.data.length;
      },
    });
    const asked = headers();
    asked.set("X-Amz-Invocation-Type", "ResponseStream");
    attacked.nats.publish(`mayfly.invoke.${fn}`, "{}", { reply: inbox, headers: asked });
    return ended.promise.finally(() => subscription.unsubscribe());
  }

  /** Of this system's worker, the one process of it that has "worker" among its words. */
  async function residentMiB(): Promise<number> {
    const workers = await attacked.processes("worker");
    const sizes = workers.map(async (pid) => {
      const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
      const isOurs = Number(/^PPid:\s+(\d+)/m.exec(status)?.[1]) === attacked.system.pid;
      return isOurs ? Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024 : 0;
    });
    return Math.max(...(await Promise.all(sizes)));
  }

  test.each([
    { of: "single bytes", frames: 'Buffer.concat(Array(2000).fill(chunk(Buffer.from("x"))))' },
    { of: "the largest pieces", frames: "chunk(Buffer.alloc(6_000_000))" },
    {
      of: "pieces and log lines",
      frames: "Buffer.concat(Array(500).fill(Buffer.concat([chunk(Buffer.alloc(60)), log])))",
    },
  ])("of $of is ended by its time-out, bounded, with its neighbour served", async ({ frames }) => {
    const fn = await attacked.node(flood(frames), { timeout: 3 });
    const before = await residentMiB();
    let most = 0;
    let isOver = false;
    const attack = streamed(fn).finally(() => {
      isOver = true;
    });
    while (!isOver) {
      await attacked.isUnharmed();
      most = Math.max(most, await residentMiB());
    }
    const { bytes, end } = await attack;
    expect(end.json<{ errorType: string }>().errorType).toBe("Sandbox.Timedout");
    expect(bytes).toBeGreaterThan(0);
    // What the pace lets through in that time, and one piece more.
    expect(bytes).toBeLessThan((6 + 2 * 4 + 6) * MIB);
    expect(before).toBeGreaterThan(0);
    expect(most - before).toBeLessThan(150);
    await attacked.remove(fn);
  });
});
