/** A response on its way to a caller who asked for it as it is produced: what the sandbox decides, and how fast it reads. */
import { Duplex, PassThrough } from "node:stream";
import { describe, expect, test, vi } from "vitest";
import type { Delivery } from "../../actors/bus/wiring.ts";
import { ResponseStream } from "../../actors/sandbox/response-stream.ts";
import type { SandboxContext, SandboxEmitted } from "../../actors/sandbox/sandbox.ts";
import { StreamPace } from "../../actors/sandbox/stream-pace.ts";
import type { ProcessStreamed } from "../../actors/sandbox/streamed.ts";
import { readToItsEnd, Tap } from "../../actors/sandbox/tap.ts";
import { sandboxWiring } from "../../actors/sandbox/wiring.ts";
import { MAX_CHUNK_BYTES, MAX_STREAM_BYTES } from "../../subjects/response-stream.ts";
import { call, givenSandbox } from "../support/machines.ts";

const usage = { peakMemoryMiB: 1, tail: undefined };
const booted = { type: "process.booted", createUs: 7, us: 0, at: 0, runtimeVersion: "" } as const;
const ready = { type: "process.ready", initUs: 9 } as const;
const invoke = (requestId: string, streams = true) =>
  ({
    type: "sandbox.invoke",
    call: { ...call(requestId), ...(streams ? { streams: true as const } : {}) },
    payload: new Uint8Array(),
    us: 0,
    at: 1000,
  }) as const;
const piece = (requestId: string, length = 10): ProcessStreamed => ({
  type: "process.streamed",
  requestId,
  contentType: "text/plain",
  payload: new Uint8Array(length),
  us: 3,
});
const responded = (requestId: string) =>
  ({ type: "process.responded", requestId, payload: new Uint8Array(), us: 5, usage }) as const;
const streaming = (streams = true) => givenSandbox().when(booted, ready, invoke("q1", streams));
const kinds = (said: readonly SandboxEmitted[]) => said.map(({ type }) => type);

describe("the sandbox", () => {
  test("says each piece while the invocation runs, and the end when it's over", () => {
    const sandbox = streaming().when(piece("q1"), piece("q1"));
    expect([sandbox.state, kinds(sandbox.said)]).toEqual(["busy.running", ["streamed", "streamed"]]);
    sandbox.when(responded("q1"));
    expect([sandbox.state, kinds(sandbox.said)]).toEqual(["idle.ready", ["finished"]]);
  });

  test("says nothing of pieces that nobody asked for, or of another invocation", () => {
    expect(kinds(streaming(false).when(piece("q1")).said)).toEqual([]);
    expect(kinds(streaming().when(piece("q0")).said)).toEqual([]);
    expect(kinds(streaming().when(responded("q1"), piece("q1")).said)).toEqual(["finished"]);
  });

  test("ends what exceeds Lambda's limit by name, and its process with it", () => {
    const sandbox = streaming().when(piece("q1", MAX_STREAM_BYTES - 10), piece("q1", 10));
    expect(sandbox.state).toBe("busy.running");
    sandbox.when(piece("q1", 1));
    expect(sandbox.state).toBe("idle.reset");
    expect(sandbox.told.at(-1)).toMatchObject({ type: "kill" });
    const [finished] = sandbox.said.filter(({ type }) => type === "finished");
    expect(finished).toMatchObject({
      outcome: { kind: "error", error: { errorType: "Function.ResponseSizeTooLarge" } },
    });
  });

  test("with extensions, tells the caller of that at once and the extensions of the end", () => {
    const lingering = givenSandbox().when({ ...booted, lingers: true }, { ...ready, lingers: true }, invoke("q1"));
    lingering.when(piece("q1", MAX_STREAM_BYTES + 1));
    expect([lingering.state, kinds(lingering.said).at(-1)]).toEqual(["busy.ending", "returned"]);
    expect(kinds(lingering.when({ type: "process.gone", us: 9 }).said).at(-1)).toBe("finished");
  });

  test("counts anew for each invocation", () => {
    const sandbox = streaming().when(piece("q1", MAX_STREAM_BYTES), responded("q1"), invoke("q2"), piece("q2"));
    expect([sandbox.state, kinds(sandbox.said).at(-1)]).toEqual(["busy.running", "streamed"]);
  });
});

describe("the messages", () => {
  const { says } = sandboxWiring("w1");
  const job = { call: invoke("q1").call, startedUs: 0, startedAt: 0, cold: false, bootsAgain: false };
  const of = (messages: number) => ({ streamed: { messages, bytes: 0 } }) as unknown as SandboxContext;
  const said = (bytes: number, before: number) =>
    [says.streamed]
      .filter((each) => typeof each === "function")
      .flatMap((say) =>
        say({
          type: "streamed",
          sandbox: of(before),
          job,
          contentType: "text/plain",
          payload: Buffer.alloc(bytes, "x"),
        }),
      )
      .filter((each) => each !== undefined);

  test("of a piece are numbered, below the limit of one, and go to the caller", () => {
    const messages = said(2 * MAX_CHUNK_BYTES + 1, 3);
    expect(messages.map(({ payload }) => payload.length)).toEqual([MAX_CHUNK_BYTES, MAX_CHUNK_BYTES, 1]);
    expect(messages.map(({ headers }) => headers?.["Mayfly-Sequence"])).toEqual(["4", "5", "6"]);
    expect(new Set(messages.map(({ subject }) => subject))).toEqual(new Set(["reply.q1"]));
  });

  test("say of what type the bytes are, once", () => {
    const types = [...said(2 * MAX_CHUNK_BYTES, 0), ...said(1, 2)].map(({ headers }) => headers?.["Content-Type"]);
    expect(types).toEqual(["text/plain", undefined, undefined]);
  });

  test("a call that asks for them is heard as it was sent", () => {
    const [row] = sandboxWiring("w1").hears;
    const message = { header: () => JSON.stringify(invoke("q1").call) };
    const heard = row?.toEvent(new Uint8Array(), { message } as unknown as Delivery);
    expect(heard).toMatchObject({ call: { requestId: "q1", streams: true } });
  });
});

describe("the reading", () => {
  const chunk = (text: string) =>
    ({ type: "chunk", requestId: "q1", contentType: "", payload: Buffer.from(text) }) as const;
  const source = () => new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() });

  test("what came at a time is one piece, and no more is read until it has left", async () => {
    const leaving = Promise.withResolvers<void>();
    const told: ProcessStreamed[] = [];
    const stream = new ResponseStream("q1", { sent: () => leaving.promise, us: () => 0 }, (each) => told.push(each));
    const channel = source().resume();
    for (const text of ["a", "", "b"]) stream.add(chunk(text));
    stream.forward(new Tap([channel]));
    expect(told.map(({ payload }) => Buffer.from(payload).toString())).toEqual(["ab"]);
    expect(channel.isPaused()).toBe(true);
    leaving.resolve();
    await vi.waitUntil(() => !channel.isPaused());
    stream.forward(new Tap([channel]));
    expect([told.length, channel.isPaused()]).toEqual([1, false]);
  });

  test("goes on only when nobody holds it any more, also where the waiting fails", async () => {
    const [channel, output] = [source().resume(), new PassThrough().resume()];
    const tap = new Tap([channel, output]);
    const [one, other] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const [first, second] = [tap.hold(one.promise), tap.hold(other.promise)];
    one.reject(new Error("disconnected"));
    await first;
    expect([channel.isPaused(), output.isPaused()]).toEqual([true, true]);
    other.resolve();
    await second;
    expect([channel.isPaused(), output.isPaused()]).toEqual([false, false]);
  });

  test("of one whose process has ended goes to its end", async () => {
    const output = new PassThrough();
    let read = "";
    output.setEncoding("utf8").on("data", (text: string) => (read += text));
    output.pause();
    output.end("the rest");
    const ended = readToItsEnd(output);
    output.resume();
    await ended;
    expect(read).toBe("the rest");
    await readToItsEnd(output);
  });

  test("is as fast as it comes for a burst, and then at a steady rate", () => {
    const pace = new StreamPace({ burstBytes: 1000, bytesPerSecond: 100 });
    expect(pace.pause(1000, 0)).toBe(0);
    expect(pace.pause(50, 0)).toBe(500);
    expect(pace.pause(50, 500_000)).toBe(500);
    expect(pace.pause(0, 60_000_000)).toBe(0);
    expect(pace.pause(1000, 60_000_000)).toBe(0);
  });
});
