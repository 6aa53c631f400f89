import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  encodeEvent,
  encodeInit,
  FrameDecoder,
  logLevels,
  maxFrameBytes,
  type RuntimeFrame,
} from "../../actors/sandbox/frames.ts";
import { MAX_PAYLOAD_BYTES } from "../../subjects/invoke.ts";
import { encodeRuntimeFrame, rawFrame } from "./runtime-frames.ts";

const shortText = fc.string({ unit: "binary", maxLength: 60 }).filter((text) => text.isWellFormed());
const payload = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
const text = shortText.map((each) => Buffer.from(each));
const anyFrame: fc.Arbitrary<RuntimeFrame> = fc.oneof(
  fc.constant({ type: "ready" as const }),
  fc.constant({ type: "ready" as const, lingers: true as const }),
  fc.constant({ type: "settled" as const }),
  fc.record({ type: fc.constant("bytecode" as const), payload }),
  fc.constant({ type: "hostWanted" as const }),
  fc.record({ type: fc.constant("initError" as const), errorType: shortText, payload: text }),
  fc.record({ type: fc.constant("response" as const), requestId: shortText, contentType: shortText, payload }),
  fc.record({ type: fc.constant("chunk" as const), requestId: shortText, contentType: shortText, payload }),
  fc.record({ type: fc.constant("error" as const), requestId: shortText, errorType: shortText, payload: text }),
  fc.record({
    type: fc.constant("log" as const),
    level: fc.constantFrom(...logLevels),
    at: fc.double({ noNaN: true, noDefaultInfinity: true }),
    requestId: shortText,
    text: shortText,
  }),
  fc.record({
    type: fc.constant("exit" as const),
    code: fc.option(fc.integer({ min: 0, max: 255 })),
    signal: fc.option(fc.constantFrom("SIGKILL", "SIGSEGV")),
  }),
);

/** What a runtime may say between two events: logs and chunks, and the rest once, in whatever order. */
const turnOf = ({ type }: RuntimeFrame) => (type === "response" || type === "error" ? "answer" : type);
const conversation = (maxLength: number) =>
  fc.uniqueArray(anyFrame, {
    maxLength,
    comparator: (one, other) => one.type !== "log" && one.type !== "chunk" && turnOf(one) === turnOf(other),
  });

/** Cuts bytes at the given places and pushes the pieces. */
function pushInPieces(bytes: Buffer, cuts: readonly number[]): { frames: RuntimeFrame[]; decoder: FrameDecoder } {
  const decoder = new FrameDecoder();
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  const frames: RuntimeFrame[] = [];
  let from = 0;
  for (const to of [...places, bytes.length]) {
    const pushed = decoder.push(bytes.subarray(from, to));
    expect(pushed.error).toBeNull();
    frames.push(...pushed.frames);
    from = to;
  }
  return { frames, decoder };
}

describe("the decoder", () => {
  test("gives the same frames however the bytes are cut", () => {
    fc.assert(
      fc.property(conversation(8), fc.array(fc.nat(4000), { maxLength: 30 }), (sent, cuts) => {
        const { frames } = pushInPieces(Buffer.concat(sent.map(encodeRuntimeFrame)), cuts);
        expect(frames).toEqual(sent);
      }),
    );
  });

  test("gives every frame when bytes come one at a time", () => {
    fc.assert(
      fc.property(conversation(4), (sent) => {
        const bytes = Buffer.concat(sent.map(encodeRuntimeFrame));
        const everywhere = Array.from(bytes, (_byte, index) => index);
        expect(pushInPieces(bytes, everywhere).frames).toEqual(sent);
      }),
      { numRuns: 30 },
    );
  });

  test("never throws, whatever arrives, and stays broken once it is", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 20 }), (chunks) => {
        const decoder = new FrameDecoder();
        let broken: unknown = null;
        for (const chunk of chunks) {
          const { frames, error } = decoder.push(Buffer.from(chunk));
          if (broken) expect({ frames, error }).toEqual({ frames: [], error: broken });
          broken = error;
        }
      }),
    );
  });

  test("survives any body behind a known type", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0x11, max: 0x16 }), payload, (type, body) => {
        const { frames, error } = new FrameDecoder().push(rawFrame(type, body));
        expect(frames.length + (error ? 1 : 0)).toBe(1);
      }),
    );
  });

  test("doesn't copy a payload that came in one piece", () => {
    const bytes = encodeRuntimeFrame({ type: "response", requestId: "r", contentType: "", payload: Buffer.from("42") });
    const [frame] = new FrameDecoder().push(bytes).frames;
    expect(frame?.type === "response" && frame.payload.buffer === bytes.buffer).toBe(true);
  });

  test("gives the frames before the one that is broken", () => {
    const { frames, error } = new FrameDecoder().push(Buffer.concat([rawFrame(0x11), rawFrame(0x7f), rawFrame(0x11)]));
    expect(frames).toEqual([{ type: "ready" }]);
    expect(error).toMatchObject({ name: "FrameError", reason: "unknown" });
  });

  test.each([
    ["a second ready", rawFrame(0x11)],
    ["a second init error", rawFrame(0x12, Buffer.from("\x01E{}"))],
    ["a second exit", rawFrame(0x16, Buffer.from('{"code":0,"signal":null}'))],
    ["a second answer in the same piece", rawFrame(0x13, Buffer.of(0, 0))],
  ])("calls %s unexpected, after it gave the first", (_what, bytes) => {
    const { frames, error } = new FrameDecoder().push(Buffer.concat([bytes, bytes, bytes]));
    expect(frames).toHaveLength(1);
    expect(error).toMatchObject({ reason: "unexpected" });
  });

  test("gives an answer in each of two pieces: between them an event may have been sent", () => {
    const bytes = rawFrame(0x13, Buffer.of(0, 0));
    expect(pushInPieces(Buffer.concat([bytes, bytes]), [bytes.length]).frames).toHaveLength(2);
  });

  test("gives an error that is no text as a text, and as long as a payload may be", () => {
    const { frames } = new FrameDecoder().push(rawFrame(0x14, Buffer.of(0, 0), Buffer.alloc(MAX_PAYLOAD_BYTES, 0xff)));
    const [error] = frames;
    expect(error?.type === "error" && error.payload.length).toBe(MAX_PAYLOAD_BYTES);
    expect(error?.type === "error" && error.payload.toString("utf8", 0, 3)).toBe("\ufffd");
  });

  test("refuses a frame by its announced length, before its bytes come", () => {
    const head = Buffer.alloc(5);
    head.writeUInt32BE(maxFrameBytes + 1);
    expect(new FrameDecoder().push(head).error).toMatchObject({ reason: "oversized" });
  });

  test("accepts a frame of the greatest length", () => {
    const bytes = rawFrame(0x13, Buffer.of(0, 0), Buffer.alloc(maxFrameBytes - 3));
    const { frames } = pushInPieces(bytes, [1, 4, 5, 70_000, 3_000_000]);
    expect(frames[0]).toMatchObject({ type: "response", requestId: "" });
  });

  test.each([
    ["no type at all", Buffer.alloc(4)],
    ["a ready with a body", rawFrame(0x11, Buffer.of(2))],
    ["a request id longer than the frame", rawFrame(0x13, Buffer.of(9, 65))],
    ["a response without a content type", rawFrame(0x13, Buffer.of(1, 65))],
    ["a log cut short", rawFrame(0x15, Buffer.of(3, 0, 0))],
    ["a log of an unknown level", rawFrame(0x15, Buffer.of(7, 0, 0, 0, 0, 0, 0, 0, 0, 0))],
    ["a log at no time", rawFrame(0x15, Buffer.of(3, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0, 0))],
    ["an exit that is not JSON", rawFrame(0x16, Buffer.from("{"))],
    ["an exit with null", rawFrame(0x16, Buffer.from("null"))],
    ["an exit with a code of text", rawFrame(0x16, Buffer.from('{"code":"1","signal":null}'))],
  ])("calls %s malformed", (_what, bytes) => {
    expect(new FrameDecoder().push(bytes).error).toMatchObject({ reason: "malformed" });
  });
});

describe("what the worker sends", () => {
  const header = { requestId: "r-1", deadlineMs: 1, invokedFunctionArn: "arn:é" };

  test("an event carries its header and the payload's own bytes", () => {
    const bytes = encodeEvent(header, Buffer.from([1, 2, 255]));
    expect(bytes.readUInt32BE(0)).toBe(bytes.length - 4);
    expect(bytes[4]).toBe(0x02);
    const payloadAt = 9 + bytes.readUInt32BE(5);
    expect(JSON.parse(bytes.toString("utf8", 9, payloadAt))).toEqual(header);
    expect([...bytes.subarray(payloadAt)]).toEqual([1, 2, 255]);
  });

  test("an empty payload travels as an empty object", () => {
    expect(encodeEvent(header, Buffer.alloc(0)).toString().endsWith("{}")).toBe(true);
  });

  test("an init frame carries the whole environment", () => {
    const init = {
      env: { KEY: "välue" },
      handler: "index.handler",
      runtime: "nodejs24.x",
      taskRoot: "/var/task",
      functionName: "f",
      functionVersion: "1",
      memoryMiB: 128,
      logFormat: "Text" as const,
    };
    const bytes = encodeInit(init);
    expect(bytes.readUInt32BE(0)).toBe(bytes.length - 4);
    expect(JSON.parse(bytes.toString("utf8", 5))).toEqual(init);
  });
});
