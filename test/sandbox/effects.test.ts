/** A sandbox and its process on a driver that boots when the test says so. */
import { Duplex, PassThrough } from "node:stream";
import { describe, expect, test, vi } from "vitest";
import { createActor, SimulatedClock } from "xstate";
import type { Booted, Enclosure, EnclosureSpec, SandboxDriver } from "../../actors/sandbox/drivers/driver.ts";
import { sandboxLogic } from "../../actors/sandbox/effects.ts";
import type { StemCells } from "../../actors/sandbox/stem-cells/pool.ts";
import { streamPaceOf } from "../../actors/sandbox/stream-pace.ts";
import { type FunctionSpec, poolId } from "../../subjects/function.ts";
import { call, spec } from "../support/machines.ts";
import { encodeRuntimeFrame } from "./runtime-frames.ts";

/** A life that ends when it is killed. */
function life() {
  const exited = Promise.withResolvers<Awaited<Booted["exited"]>>();
  const kill = vi.fn(async () => exited.resolve({ code: null, signal: "SIGKILL", outOfMemory: false, started: true }));
  const channel = new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() });
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  return { channel, stdout, stderr, exited: exited.promise, kill } satisfies Booted;
}

function sandboxOf(
  fn: FunctionSpec,
  clock: SimulatedClock,
  driver: Pick<SandboxDriver, "create">,
  stems?: Pick<StemCells, "take">,
  release = () => {},
  makeWay = async () => {},
  broken: { furnish?: Error | Promise<never>; hostFailed?: (cause: unknown) => void; isThere?: () => boolean } = {},
) {
  const logic = sandboxLogic({
    driver: driver as SandboxDriver,
    streamPace: streamPaceOf(2),
    ...(stems === undefined ? {} : { stems: stems as StemCells }),
    furnish: async (_spec, _id, wantsHost) => {
      if (broken.furnish) throw await broken.furnish;
      return {
        command: [],
        mounts: [],
        init: {
          ...(wantsHost ? { client: ["node"] } : {}),
          env: {},
          handler: "",
          runtime: "",
          taskRoot: "",
          functionName: "",
          functionVersion: "",
          memoryMiB: 128,
          logFormat: "Text",
        },
        overheadMiB: 0,
        ...(broken.isThere === undefined ? {} : { isThere: broken.isThere }),
        release,
      };
    },
    log: () => {},
    sent: async () => {},
    hostFailed: (_sandbox, cause) => broken.hostFailed?.(cause),
    leftBehind: () => {},
    makeWay,
    us: () => 0,
  });
  return createActor(logic, {
    clock,
    input: {
      sandboxId: "s1",
      workerId: "w1",
      poolId: poolId(fn),
      spec: fn,
      isolation: "none",
      limits: { initMs: 1000, idleMs: 100_000 },
    },
  }).start();
}

test("a process that is killed while it boots is killed when it has booted, and the next boot waits for that", async () => {
  const boots: Array<PromiseWithResolvers<Booted>> = [];
  const booting = vi.fn(() => {
    const boot = Promise.withResolvers<Booted>();
    boots.push(boot);
    return boot.promise;
  });
  const enclosure = {
    boot: booting,
    destroy: async () => {},
    stats: async () => ({ memoryBytes: 0, peakMemoryBytes: 0 }),
  };
  const clock = new SimulatedClock();
  const sandbox = sandboxOf(spec(), clock, { create: async () => enclosure as unknown as Enclosure });
  const invoke = (requestId: string) =>
    sandbox.send({ type: "sandbox.invoke", call: call(requestId), payload: new Uint8Array(), us: 0, at: 0 });

  const first = life();
  await vi.waitUntil(() => boots.length === 1);
  boots[0]?.resolve(first);
  await vi.waitUntil(() => sandbox.getSnapshot().matches({ init: "starting" }));
  clock.increment(1000);
  expect(first.kill).toHaveBeenCalled();

  invoke("q1");
  await vi.waitUntil(() => boots.length === 2);
  clock.increment(spec().timeoutMs);
  expect(sandbox.getSnapshot().matches({ idle: "reset" })).toBe(true);
  invoke("q2");
  expect(booting).toHaveBeenCalledTimes(2);

  const second = life();
  boots[1]?.resolve(second);
  await vi.waitUntil(() => boots.length === 3);
  expect(second.kill).toHaveBeenCalled();
  boots[2]?.resolve(life());
  await vi.waitUntil(() => sandbox.getSnapshot().matches({ busy: { init: "starting" } }));
  sandbox.stop();
});

test.each([
  { what: "has a network is made for it, with that network", fn: spec({ egress: ["internet"] }), asked: 0 },
  { what: "has none may come from a stem cell", fn: spec(), asked: 1 },
])("a sandbox that $what", async ({ fn, asked }) => {
  const made: EnclosureSpec[] = [];
  const create = async (place: EnclosureSpec): Promise<Enclosure> => {
    made.push(place);
    return { boot: () => new Promise(() => {}), destroy: async () => {} } as unknown as Enclosure;
  };
  const take = vi.fn(async () => undefined);
  const sandbox = sandboxOf(fn, new SimulatedClock(), { create }, { take });
  await vi.waitUntil(() => made.length === 1);
  expect(made.map(({ egress }) => egress)).toEqual([fn.egress]);
  expect(take).toHaveBeenCalledTimes(asked);
  sandbox.stop();
});

/** A sandbox that has begun its init. Its places and lives are counted as they come. */
async function initialising(makeWay?: () => Promise<void>) {
  let places = 0;
  const lives: ReturnType<typeof life>[] = [];
  const destroyed: number[] = [];
  const create = async () => {
    const place = places++;
    let latest: ReturnType<typeof life> | undefined;
    return {
      boot: async () => {
        latest = life();
        lives.push(latest);
        return latest;
      },
      destroy: async () => {
        if (!destroyed.includes(place)) destroyed.push(place);
        await latest?.kill();
      },
      stats: async () => ({ memoryBytes: 0, peakMemoryBytes: 0 }),
    } as unknown as Enclosure;
  };
  const clock = new SimulatedClock();
  const release = vi.fn();
  const sandbox = sandboxOf(spec(), clock, { create }, undefined, release, makeWay);
  const says = (nth: number, type: "hostWanted" | "ready") => lives[nth]?.channel.push(encodeRuntimeFrame({ type }));
  const is = (state: Parameters<ReturnType<typeof sandbox.getSnapshot>["matches"]>[0]) =>
    vi.waitUntil(() => sandbox.getSnapshot().matches(state));
  await is({ init: "starting" });
  return { sandbox, clock, lives, destroyed, release, says, is, places: () => places };
}

test("what has ended is taken down when others don't need the time, and is heard no more until then", async () => {
  const way = Promise.withResolvers<void>();
  const makeWay = vi.fn(() => way.promise);
  const { sandbox, lives, destroyed, release, says, is } = await initialising(makeWay);
  says(0, "ready");
  await is({ idle: "ready" });
  sandbox.send({ type: "sandbox.stop", reason: "replaced" });
  expect(sandbox.getSnapshot().status).toBe("done");
  await vi.waitUntil(() => makeWay.mock.calls.length === 1);
  says(0, "hostWanted");
  expect([lives.length, destroyed, release.mock.calls.length]).toEqual([1, [], 0]);
  way.resolve();
  await vi.waitUntil(() => release.mock.calls.length === 1);
  expect([lives.length, destroyed]).toEqual([1, [0]]);
});

describe("a runtime that asks for a host while it initialises", () => {
  test("is begun anew with one, in another place, as part of the same init", async () => {
    const { sandbox, lives, destroyed, release, says, is } = await initialising();
    says(0, "hostWanted");
    await vi.waitUntil(() => lives.length === 2);
    expect([destroyed, release.mock.calls.length]).toEqual([[0], 1]);
    expect(sandbox.getSnapshot().matches({ init: "starting" })).toBe(true);
    says(1, "hostWanted");
    says(1, "ready");
    await is({ idle: "ready" });
    expect(lives).toHaveLength(2);
    sandbox.stop();
    await vi.waitUntil(() => destroyed.length === 2);
  });

  test("has no longer than others for it all, and has its host from the beginning the next time", async () => {
    const { sandbox, clock, lives, places, says, is } = await initialising();
    says(0, "hostWanted");
    await vi.waitUntil(() => lives.length === 2);
    clock.increment(1000);
    await is({ idle: "reset" });
    await vi.waitUntil(() => lives[1]?.kill.mock.calls.length === 1);
    sandbox.send({ type: "sandbox.invoke", call: call("q1"), payload: new Uint8Array(), us: 0, at: 0 });
    await is({ busy: { init: "starting" } });
    says(2, "hostWanted");
    says(2, "ready");
    await is({ busy: "running" });
    expect([places(), lives.length]).toEqual([2, 3]);
    sandbox.stop();
  });

  test("and is stopped meanwhile leaves nothing behind", async () => {
    const { sandbox, destroyed, places, says } = await initialising();
    says(0, "hostWanted");
    await vi.waitUntil(() => destroyed.length === 1);
    sandbox.stop();
    await vi.waitUntil(() => destroyed.length === places());
  });

  test("only afterwards is not heard", async () => {
    const { sandbox, lives, destroyed, says, is } = await initialising();
    says(0, "ready");
    await is({ idle: "ready" });
    says(0, "hostWanted");
    sandbox.send({ type: "sandbox.invoke", call: call("q1"), payload: new Uint8Array(), us: 0, at: 0 });
    await is({ busy: "running" });
    expect([lives.length, destroyed]).toEqual([1, []]);
    sandbox.stop();
  });
});

describe("a sandbox that can't be made", () => {
  const cause = Object.assign(new Error("ENOSPC: no space left on device, mkdir '/secret'"), { code: "ENOSPC" });
  const enclosureThat = (boot: Enclosure["boot"]) =>
    ({
      boot,
      destroy: async () => {},
      stats: async () => ({ memoryBytes: 0, peakMemoryBytes: 0 }),
    }) as unknown as Enclosure;

  const comesTo = async (driver: Pick<SandboxDriver, "create">, furnish?: Error) => {
    const causes: unknown[] = [];
    const broken = { ...(furnish ? { furnish } : {}), hostFailed: (each: unknown) => void causes.push(each) };
    const sandbox = sandboxOf(spec(), new SimulatedClock(), driver, undefined, undefined, undefined, broken);
    const reports: unknown[] = [];
    sandbox.on("reported", (report) => reports.push(report));
    await vi.waitUntil(() => reports.length > 0);
    return { report: reports[0], causes };
  };
  const fault = { name: "ENOSPC", text: "ENOSPC" };

  test("because the host can't, is its host's fault: the cause is the worker's to log, its name is told", async () => {
    const create = async () => Promise.reject(cause);
    const boot = async () => Promise.reject(cause);
    for (const driver of [{ create }, { create: async () => enclosureThat(boot) }]) {
      const { report, causes } = await comesTo(driver);
      expect(report).toMatchObject({ state: "failed", fault });
      expect(report).not.toHaveProperty("error");
      expect(causes).toEqual([cause]);
    }
  });

  test("because its code can't be fetched here is that too, but not where the package itself is broken", async () => {
    const create = vi.fn();
    expect((await comesTo({ create }, cause)).report).toMatchObject({ state: "failed", fault });
    for (const name of ["CodeMissing", "CodeCorrupt", "CodeUnsafe", "EgressForbidden"]) {
      const { report, causes } = await comesTo({ create }, Object.assign(new Error("words"), { name }));
      expect(report).toMatchObject({ state: "failed", error: { errorType: name }, fault: undefined });
      expect(causes).toEqual([]);
    }
  });

  test("in a minute, is its host's fault too, and the worker's log has what it waited for", async () => {
    const never = () => new Promise<never>(() => {});
    const causes: unknown[] = [];
    const hostFailed = (each: unknown) => void causes.push(each);
    const given = async (driver: Pick<SandboxDriver, "create">, broken: { furnish?: Promise<never> } = {}) => {
      const clock = new SimulatedClock();
      const how = { ...broken, hostFailed };
      const sandbox = sandboxOf(spec(), clock, driver, undefined, undefined, undefined, how);
      await new Promise(setImmediate);
      clock.increment(60_000);
      expect(sandbox.getSnapshot().status).toBe("done");
    };
    await given({ create: never }, { furnish: never() });
    await given({ create: never });
    await given({ create: async () => enclosureThat(never) });
    expect(causes.map(String)).toEqual([
      "BootTimedOut: it waited for its code and runtime",
      "BootTimedOut: it waited for its place",
      "BootTimedOut: it waited for its process to begin there",
    ]);
  });

  test("again because its code isn't there any more, is given up, and its call left to another", async () => {
    let isThere = true;
    const causes: unknown[] = [];
    const driver = { create: async () => enclosureThat(async () => life()) };
    const broken = { isThere: () => isThere, hostFailed: (each: unknown) => void causes.push(each) };
    const clock = new SimulatedClock();
    const sandbox = sandboxOf(spec(), clock, driver, undefined, undefined, undefined, broken);
    const said: unknown[] = [];
    sandbox.on("*", (each) => said.push(each));
    const invoke = (requestId: string) =>
      sandbox.send({ type: "sandbox.invoke", call: call(requestId), payload: new Uint8Array(), us: 0, at: 0 });
    await vi.waitUntil(() => sandbox.getSnapshot().matches({ init: "starting" }));
    clock.increment(1000);
    invoke("q1");
    await vi.waitUntil(() => sandbox.getSnapshot().matches({ busy: { init: "starting" } }));
    clock.increment(spec().timeoutMs);
    isThere = false;
    invoke("q2");
    await vi.waitUntil(() => sandbox.getSnapshot().status === "done");
    expect(said.slice(-2)).toMatchObject([
      { type: "refused", call: { requestId: "q2" } },
      { type: "reported", state: "failed" },
    ]);
    expect(causes).toMatchObject([{ message: "its code was removed" }]);
  });

  test("whose program was never reached though it stood, is too; one whose program ended isn't", async () => {
    const endsAs = (exit: Partial<Awaited<Booted["exited"]>>, word = "") =>
      comesTo({
        create: async () =>
          enclosureThat(async () => {
            const booted = life();
            booted.stderr.end(word);
            const exited = { code: 1, signal: null, outOfMemory: false, started: true, ...exit };
            return { ...booted, exited: new Promise((resolve) => setImmediate(resolve, exited)) };
          }),
      });
    const { report, causes } = await endsAs({ started: false }, "bwrap: Can't find source path\n");
    expect(report).toMatchObject({ state: "failed", fault: { name: "BootFailed" } });
    expect(causes).toMatchObject([{ message: "bwrap: Can't find source path" }]);
    expect((await endsAs({})).causes).toEqual([]);
    expect((await endsAs({ started: false, code: null, signal: "SIGKILL" })).causes).toEqual([]);
  });
});
