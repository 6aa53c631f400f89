import { describe, expect, test } from "vitest";
import type { IdleSandbox } from "../../actors/worker/policy.ts";
import { givenWorker, spec, TICK_MS } from "../support/machines.ts";

const lease = { type: "worker.lease", replyTo: "asker", endsAt: 1 } as const;
const drain = { type: "worker.drain", reason: "test" } as const;
const create = (sandboxId: string, memoryMiB: number, idle: readonly IdleSandbox[] = []) =>
  ({ type: "worker.create", replyTo: "asker", sandboxId, poolId: "p", spec: spec({ memoryMiB }), idle }) as const;
const reported = (sandboxId: string, state: "idle" | "failed" | "dead") =>
  ({ type: "sandbox.reported", sandboxId, state }) as const;
const refused = { type: "refuse", to: "asker", refusal: { name: "NoRoom" } };

const ready = () => givenWorker().when(lease);

test("it announces itself every beat, and takes no sandbox before it has a lease", () => {
  const worker = givenWorker();
  expect(worker.said).toMatchObject([{ type: "heartbeat", state: "joining" }]);
  expect(worker.after(TICK_MS).said).toMatchObject([{ type: "heartbeat", state: "joining" }]);
  expect(worker.when(create("s1", 128)).said).toMatchObject([refused]);
});

test("on lease it hosts sandboxes, and says yes at once", () => {
  const worker = ready().when(create("s1", 128));
  expect(worker.told).toEqual(["host s1"]);
  expect(worker.said).toMatchObject([{ type: "reply", to: "asker" }]);
});

test("the same sandbox asked for twice is made once", () => {
  expect(ready().when(create("s1", 128), create("s1", 128)).told).toEqual(["host s1"]);
});

describe("when its memory is full", () => {
  test("it refuses by name", () => {
    expect(ready().when(create("s1", 1024)).when(create("s2", 128)).said).toMatchObject([refused]);
  });

  test("idle sandboxes stop for a new one, no more than needed, the least recently used first", () => {
    const worker = ready().when(create("s1", 512), create("s2", 256), create("s3", 256));
    const idle = [
      { sandboxId: "s2", memoryMiB: 256, lastUsedUs: 2 },
      { sandboxId: "s3", memoryMiB: 256, lastUsedUs: 1 },
    ];
    expect(worker.when(create("s4", 256, idle)).said).toMatchObject([
      { type: "stop", sandboxId: "s3" },
      { type: "reply" },
    ]);
  });

  test("the memory of a sandbox that is gone is free again", () => {
    const worker = ready().when(create("s1", 1024), reported("s1", "dead"));
    expect(worker.when(create("s2", 1024)).said).toMatchObject([{ type: "reply" }]);
  });
});

describe("draining", () => {
  test("stops every sandbox and goes when the last one is gone", () => {
    const worker = ready().when(create("s1", 128), create("s2", 128)).when(drain);
    expect(worker.said).toMatchObject([
      { type: "stop", sandboxId: "s1" },
      { type: "stop", sandboxId: "s2" },
      { type: "heartbeat", state: "draining" },
    ]);
    expect(worker.when(reported("s1", "dead")).state).toBe("draining.emptying");
    expect(worker.when(reported("s2", "failed")).said).toMatchObject([{ type: "heartbeat", state: "gone" }]);
  });

  test("takes no lease and no sandbox", () => {
    const worker = ready().when(create("s1", 128), drain);
    expect(worker.when(lease).said).toMatchObject([refused]);
    expect(worker.when(create("s2", 128)).said).toMatchObject([refused]);
  });

  test("is over at once when there is nothing on it", () => {
    expect(ready().when(drain).isOver).toBe(true);
  });
});

describe("that was given up and is heard again", () => {
  const givenUp = { type: "worker.givenUp", replyTo: "asker", silentSince: 7, busy: ["s1"] } as const;

  test("ends what runs on it, says what it hosts, and answers then; it stays on its lease", () => {
    const worker = ready().when(create("s1", 128), create("s2", 128)).when(givenUp);
    expect(worker.said).toMatchObject([
      { type: "stop", sandboxId: "s1", atOnce: true },
      { type: "hosted" },
      { type: "reply", to: "asker" },
    ]);
    expect(worker.state).toBe("ready");
    expect(worker.when(create("s3", 128)).told).toEqual(["host s3"]);
  });

  test("ends nothing that began since, when it is told the same again; of another silence it is told anew", () => {
    const worker = ready().when(create("s1", 128), create("s2", 128), givenUp);
    const again = { ...givenUp, busy: ["s2"] };
    expect(worker.when(again).said).toMatchObject([{ type: "hosted" }, { type: "reply", to: "asker" }]);
    expect(worker.when({ ...again, silentSince: 8 }).said).toMatchObject([
      { type: "stop", sandboxId: "s2" },
      { type: "hosted" },
      { type: "reply" },
    ]);
  });

  test("does so also while it is leaving", () => {
    const worker = ready().when(create("s1", 128), drain).when(givenUp);
    expect(worker.said).toMatchObject([{ type: "stop", atOnce: true }, { type: "hosted" }, { type: "reply" }]);
  });
});
