/** A response on its way to a caller who asked for it as it is produced: what the sandbox decides, and how fast it reads. */
import { Duplex, PassThrough } from "node:stream";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Delivery } from "../../actors/bus/wiring.ts";
import { ResponseStream } from "../../actors/sandbox/response-stream.ts";
import type { SandboxContext, SandboxEmitted } from "../../actors/sandbox/sandbox.ts";
import { StreamPace, streamPaceOf } from "../../actors/sandbox/stream-pace.ts";
import type { StreamWindowLimits } from "../../actors/sandbox/stream-window.ts";
import type { ProcessStreamed, ReaderAwaited, ReaderEvent } from "../../actors/sandbox/streamed.ts";
import { readToItsEnd, Tap } from "../../actors/sandbox/tap.ts";
import { sandboxWiring } from "../../actors/sandbox/wiring.ts";
import { MAX_CHUNK_BYTES, MAX_STREAM_BYTES, WINDOW_BYTES } from "../../subjects/response-stream.ts";
import { call, givenSandbox, killed } from "../support/machines.ts";

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
const took = (requestId: string, bytes: number) => ({ type: "reader.took", requestId, bytes }) as const;
const lost = (requestId: string) => ({ type: "reader.lost", requestId, us: 4 }) as const;
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
    expect(kinds(lingering.when({ type: "process.gone" }).said).at(-1)).toBe("finished");
  });

  test("passes on to its process how far the reader of the running invocation has come", () => {
    const sandbox = streaming();
    expect(sandbox.when(took("q1", 10)).told).toEqual([took("q1", 10)]);
    expect(sandbox.when(took("q0", 10)).told).toEqual([]);
    expect(sandbox.when(responded("q1"), took("q1", 20)).told).toEqual([]);
  });

  test("tells a reader who is lost the end by name, and lets the function run to its own", () => {
    const sandbox = streaming().when(piece("q1"), lost("q1"));
    expect([sandbox.state, kinds(sandbox.said), sandbox.told]).toEqual([
      "busy.settling",
      ["streamed", "returned"],
      [lost("q1")],
    ]);
    expect(sandbox.said.at(-1)).toMatchObject({ outcome: { error: { errorType: "Sandbox.ReaderLost" } } });
    expect(kinds(sandbox.when(piece("q1"), lost("q1")).said)).toEqual([]);
    sandbox.when(responded("q1"));
    expect([sandbox.state, kinds(sandbox.said)]).toEqual(["idle.ready", ["finished"]]);
    const outcome = { error: { errorType: "Sandbox.ReaderLost" }, us: 5, usage };
    expect(sandbox.said.at(-1)).toMatchObject({ outcome });
  });

  test("with extensions, waits for them as well after a reader is lost", () => {
    const lingering = givenSandbox().when({ ...booted, lingers: true }, { ...ready, lingers: true }, invoke("q1"));
    expect(lingering.when(lost("q1"), responded("q1")).state).toBe("busy.settling");
    lingering.when({ type: "process.settled", us: 9 });
    expect([lingering.state, kinds(lingering.said)]).toEqual(["idle.ready", ["finished"]]);
  });

  test("ends a function whose reader is lost by its time all the same", () => {
    const sandbox = streaming().when(lost("q1")).after(3000);
    expect([sandbox.state, kinds(sandbox.said)]).toEqual(["idle.reset", ["finished"]]);
    expect(sandbox.told.at(-1)).toEqual({ type: "kill", reason: "timeout" });
    expect(sandbox.said).toMatchObject([
      { outcome: { error: { errorType: "Sandbox.ReaderLost" }, usage: killed.usage } },
    ]);
  });

  test("asks for its reader while he is waited for, and not once he is known to be lost", () => {
    const awaited = { type: "reader.awaited", requestId: "q1" } as const;
    const sandbox = streaming().when(awaited);
    expect([sandbox.state, kinds(sandbox.said)]).toEqual(["busy.running", ["awaited"]]);
    expect(kinds(sandbox.when({ ...awaited, requestId: "q0" }).said)).toEqual([]);
    expect(kinds(sandbox.when(lost("q1"), awaited).said)).not.toContain("awaited");
  });

  test("counts anew for each invocation", () => {
    const sandbox = streaming().when(piece("q1", MAX_STREAM_BYTES), responded("q1"), invoke("q2"), piece("q2"));
    expect([sandbox.state, kinds(sandbox.said).at(-1)]).toEqual(["busy.running", "streamed"]);
  });
});

describe("the messages", () => {
  const { says } = sandboxWiring("w1");
  const job = { call: invoke("q1").call, startedUs: 0, startedAt: 0, cold: false, bootsAgain: false };
  const of = (messages: number, bytes = 0) =>
    ({ workerId: "w1", sandboxId: "s1", streamed: { messages, bytes } }) as unknown as SandboxContext;
  const said = (bytes: number, before: number, { acknowledges = false, bytesBefore = 0 } = {}) =>
    [says.streamed]
      .filter((each) => typeof each === "function")
      .flatMap((say) =>
        say({
          type: "streamed",
          sandbox: of(before, bytesBefore),
          job: acknowledges ? { ...job, call: { ...job.call, acknowledges } } : job,
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

  test("ask who acknowledges for it several times in a window, and nobody else", () => {
    const asks = (acknowledges: boolean) =>
      said(WINDOW_BYTES, 0, { acknowledges, bytesBefore: 10 })
        .map(({ replyTo }) => replyTo)
        .filter((each) => each !== undefined);
    expect(asks(false)).toEqual([]);
    const at = (chunks: number) => `mayfly.taken.w1.s1.q1.${10 + chunks * MAX_CHUNK_BYTES}`;
    expect(asks(true)).toEqual([at(2), at(4), at(6), at(8)]);
  });

  test("an acknowledgement is heard as one, and that there is no reader as that", () => {
    const row = sandboxWiring("w1").hears.find(({ subject }) => subject === "mayfly.taken.w1.*.*.*");
    const heard = (isNobody: boolean) =>
      row?.toEvent(new Uint8Array(), {
        address: { sandboxId: "s1", requestId: "q1", bytes: "300" },
        message: { isNobody },
        us: 4,
      } as unknown as Delivery);
    expect([heard(false), heard(true)]).toEqual([took("q1", 300), lost("q1")]);
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
  const streamTo = (
    told: (event: ProcessStreamed | ReaderAwaited | ReaderEvent) => void,
    { sent = () => Promise.resolve() }: { readonly sent?: () => Promise<void> } = {},
    window?: StreamWindowLimits,
  ) => {
    const asked = window === undefined ? {} : { acknowledges: true as const };
    return new ResponseStream(
      { requestId: "q1", ...asked },
      { sent, us: () => 0, streamPace: streamPaceOf(2) },
      told,
      window,
    );
  };
  const window = { bytes: 10, askMs: 250, patienceMs: 1000 };
  /** All that waits for nothing but its turn has had it. */
  const settled = () => new Promise((resolve) => setImmediate(resolve));
  const source = () => new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() });

  test("what came at a time is one piece, and no more is read until it has left", async () => {
    const leaving = Promise.withResolvers<void>();
    const told: ProcessStreamed[] = [];
    const stream = streamTo((each) => told.push(each as ProcessStreamed), { sent: () => leaving.promise });
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

  test("waits for its reader also where nothing can leave this process", async () => {
    vi.useFakeTimers({ toFake: ["setInterval"] });
    try {
      const channel = source().resume();
      const stream = streamTo(
        () => {},
        { sent: () => Promise.reject(new Error("disconnected")) },
        { ...window, bytes: 0 },
      );
      stream.add(chunk("a"));
      stream.forward(new Tap([channel]));
      await settled();
      expect(channel.isPaused()).toBe(true);
      stream.close();
      await settled();
      expect(channel.isPaused()).toBe(false);
    } finally {
      vi.useRealTimers();
    }
  });

  describe("for a reader who acknowledges", () => {
    beforeEach(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] }));
    afterEach(() => void vi.useRealTimers());

    function held(told: (event: ReaderAwaited | ReaderEvent | ProcessStreamed) => void = () => {}) {
      const channel = source().resume();
      const stream = streamTo(told, {}, window);
      const send = async (text: string) => {
        stream.add(chunk(text));
        stream.forward(new Tap([channel]));
        await settled();
      };
      return { stream, channel, send };
    }

    test("waits when a window is unread, until there is room again", async () => {
      const { stream, channel, send } = held();
      await send("0123456789");
      expect(channel.isPaused()).toBe(false);
      await send("0");
      expect(channel.isPaused()).toBe(true);
      for (const bytes of [0, 12, Number.NaN]) stream.heard(took("q1", bytes));
      await settled();
      expect(channel.isPaused()).toBe(true);
      stream.heard(took("q1", 1));
      await settled();
      expect([channel.isPaused(), vi.getTimerCount()]).toEqual([false, 0]);
    });

    test("gives up on one who is waited for and is silent, and on nobody else", async () => {
      const told: Array<ReaderAwaited | ReaderEvent | ProcessStreamed> = [];
      const { stream, channel, send } = held((each) => told.push(each));
      await send("0123456789");
      expect(vi.getTimerCount()).toBe(0);
      await send("0123456789");
      vi.advanceTimersByTime(999);
      stream.heard(took("q1", 2));
      vi.advanceTimersByTime(999);
      // Each time he is waited for so long, he is asked.
      expect([channel.isPaused(), told.slice(2).map(({ type }) => type)]).toEqual([
        true,
        Array.from({ length: 6 }, () => "reader.awaited"),
      ]);
      vi.advanceTimersByTime(1);
      await settled();
      expect([channel.isPaused(), told.at(-1)]).toEqual([false, { type: "reader.lost", requestId: "q1", us: 0 }]);
      await send("0123456789");
      expect([channel.isPaused(), vi.getTimerCount()]).toEqual([false, 0]);
    });

    test.each([
      { of: "has gone", end: (stream: ResponseStream) => stream.heard(lost("q1")) },
      { of: "nobody waits for", end: (stream: ResponseStream) => stream.close() },
    ])("holds nothing back for one who $of", async ({ end }) => {
      const { stream, channel, send } = held();
      await send("0123456789+");
      expect(channel.isPaused()).toBe(true);
      end(stream);
      await settled();
      expect([channel.isPaused(), vi.getTimerCount()]).toEqual([false, 0]);
    });
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
