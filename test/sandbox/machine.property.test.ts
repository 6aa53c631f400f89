/** Whatever comes in whatever order: one invocation at a time, and one end for each. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { SandboxEvent } from "../../actors/sandbox/machine.ts";
import { MAX_STREAM_BYTES } from "../../subjects/response-stream.ts";
import { call, givenSandbox } from "../support/machines.ts";

const usage = { peakMemoryMiB: 1, tail: undefined };
const error = { errorType: "E", payload: "{}" };
const requestId = fc.nat(30).map((n) => `q${n}`);

/** `invoke` gets a fresh id when it happens; the process may speak of any invocation, at any time. */
const happening = fc.oneof(
  { weight: 5, arbitrary: fc.constant("invoke" as const) },
  { weight: 1, arbitrary: fc.constant<SandboxEvent>({ type: "sandbox.stop", reason: "test" }) },
  { weight: 1, arbitrary: fc.constant<SandboxEvent>({ type: "sandbox.stop", reason: "test", us: 1, atOnce: true }) },
  {
    weight: 3,
    arbitrary: fc
      .boolean()
      .map(
        (lingers): SandboxEvent => ({ type: "process.booted", createUs: 1, us: 1, at: 1, runtimeVersion: "", lingers }),
      ),
  },
  {
    weight: 3,
    arbitrary: fc.boolean().map((lingers): SandboxEvent => ({ type: "process.ready", initUs: 1, lingers })),
  },
  { weight: 2, arbitrary: fc.constant<SandboxEvent>({ type: "process.settled", us: 2 }) },
  { weight: 2, arbitrary: fc.constant<SandboxEvent>({ type: "process.gone" }) },
  { weight: 1, arbitrary: fc.constant<SandboxEvent>({ type: "process.killed", us: 2, usage }) },
  { weight: 1, arbitrary: fc.constant<SandboxEvent>({ type: "process.notMade", fault: { name: "E", text: "E" } }) },
  { weight: 1, arbitrary: fc.constant<SandboxEvent>({ type: "process.initFailed", error, us: 1, usage }) },
  {
    weight: 4,
    arbitrary: requestId.map(
      (id): SandboxEvent => ({ type: "process.responded", requestId: id, payload: new Uint8Array(), us: 1, usage }),
    ),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(requestId, fc.constantFrom(10, MAX_STREAM_BYTES + 1)).map(
      ([id, length]): SandboxEvent => ({
        type: "process.streamed",
        requestId: id,
        contentType: "",
        payload: { length } as Uint8Array,
        us: 1,
      }),
    ),
  },
  {
    weight: 2,
    arbitrary: requestId.map((id): SandboxEvent => ({ type: "process.failed", requestId: id, error, us: 1, usage })),
  },
  {
    weight: 1,
    arbitrary: fc.constant<SandboxEvent>({
      type: "process.exited",
      exit: { code: 1, signal: null, outOfMemory: false },
      us: 1,
      usage,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.oneof(
      requestId.map((id): SandboxEvent => ({ type: "reader.took", requestId: id, bytes: 5 })),
      requestId.map((id): SandboxEvent => ({ type: "reader.awaited", requestId: id })),
      requestId.map((id): SandboxEvent => ({ type: "reader.lost", requestId: id, us: 1 })),
    ),
  },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 20_000 }) },
);

test("it runs one invocation at a time, and each is answered exactly once", () => {
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 80 }), (happenings) => {
      const sandbox = givenSandbox();
      let invoked = 0;
      for (const it of happenings) {
        if (sandbox.isOver) break;
        if (typeof it === "number") sandbox.after(it);
        else if (it !== "invoke") sandbox.when(it);
        else
          sandbox.when({
            type: "sandbox.invoke",
            call: { ...call(`q${invoked}`), ...(invoked++ % 2 === 0 ? { streams: true as const } : {}) },
            payload: new Uint8Array(),
            us: 1,
            at: 1,
          });
      }
      // Time alone ends what still runs.
      if (!sandbox.isOver) sandbox.after(3000);
      // Where there are extensions, their time is the process's affair.
      if (!sandbox.isOver) sandbox.when({ type: "process.gone" });

      const answers = new Map<string, number>();
      const callers = new Map<string, number>();
      let running: string | undefined;
      for (const said of sandbox.saidSoFar) {
        if (!("job" in said || "call" in said)) continue;
        if (said.type === "returned" || (said.type === "finished" && !said.sandbox.isTold)) {
          const { requestId } = said.job.call;
          callers.set(requestId, (callers.get(requestId) ?? 0) + 1);
        }
        if (said.type === "returned") continue;
        const { requestId } = said.type === "refused" ? said.call : said.job.call;
        if (said.type === "started") {
          expect(running).toBeUndefined();
          running = requestId;
          continue;
        }
        if (said.type === "streamed" || said.type === "awaited") {
          expect([said.job.call.streams, requestId]).toEqual([true, running]);
          continue;
        }
        if (said.type === "finished") {
          expect(running).toBe(requestId);
          running = undefined;
        }
        answers.set(requestId, (answers.get(requestId) ?? 0) + 1);
      }
      expect(running).toBeUndefined();
      expect(answers.size).toBe(invoked);
      expect([...answers.values(), ...callers.values()].filter((count) => count !== 1)).toEqual([]);
    }),
    { numRuns: 500 },
  );
});
