/** The data plane behaves like Lambda's: one call per sandbox, scale out, limits that hold, warm reuse, scale to zero. */
import type { Msg, NatsConnection } from "nats";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Transition } from "../../subjects/state.ts";
import { api, configure, deploy } from "../support/functions.ts";
import { type RunningSystem, startMayfly } from "../support/system.ts";

const IDLE_MS = 3000;
/** Memory for twelve sandboxes in all. */
const ROOM = 12;

let system: RunningSystem;
let nats: NatsConnection;

const FILES = {
  "index.mjs": `
    import { existsSync, readFileSync, writeFileSync } from "node:fs";
    const me = Math.random().toString(36).slice(2);
    let running = 0;
    export const busy = async (event) => {
      running += 1;
      const atOnce = running;
      await new Promise((resolve) => setTimeout(resolve, event.ms ?? 50));
      running -= 1;
      return { me, atOnce, revision: process.env.REVISION };
    };
    export const keeps = async (event) => {
      const before = existsSync("/tmp/kept") ? readFileSync("/tmp/kept", "utf8") : null;
      if (event.write) writeFileSync("/tmp/kept", event.write);
      if (event.hang) await new Promise((resolve) => setTimeout(resolve, 60_000));
      if (event.exit) process.exit(3);
      return { me, before };
    };
    export const writes = async () => {
      const attempt = (path) => { try { writeFileSync(path, "x"); return "written"; } catch (error) { return error.code; } };
      return { task: attempt("/var/task/x"), usr: attempt("/usr/x"), etc: attempt("/etc/x"), tmp: attempt("/tmp/x") };
    };
  `,
};

beforeAll(async () => {
  system = await startMayfly({
    env: { MAYFLY_WORKER_MEMORY: String((ROOM / 2) * 128), MAYFLY_IDLE_TIMEOUT: String(IDLE_MS) },
  });
  nats = await system.connect();
  const as = await system.connect("platform");
  await Promise.all([
    deploy(as, { name: "busy", files: FILES, handler: "index.busy", timeout: 10 }),
    deploy(as, { name: "reserved", files: FILES, handler: "index.busy", timeout: 10 }),
    deploy(as, { name: "updated", files: FILES, handler: "index.busy", timeout: 10, environment: { REVISION: "1" } }),
    deploy(as, { name: "keeps", files: FILES, handler: "index.keeps", timeout: 1 }),
    deploy(as, { name: "writes", files: FILES, handler: "index.writes" }),
  ]);
});
afterAll(() => system?.[Symbol.asyncDispose]());

const invoke = (fn: string, event: object = {}): Promise<Msg> =>
  nats.request(`mayfly.invoke.${fn}`, JSON.stringify(event), { timeout: 60_000 });
const code = (reply: Msg) => reply.headers?.get("Nats-Service-Error-Code") || "200";

/** Every transition of sandboxes while `during` runs. */
async function transitionsOf(during: () => Promise<unknown>): Promise<Transition[]> {
  const seen: Transition[] = [];
  const subscription = nats.subscribe("mayfly.state.sandbox.*", {
    callback: (_, message) => void seen.push(message.json()),
  });
  await nats.flush();
  await during();
  await nats.flush();
  subscription.unsubscribe();
  return seen;
}

describe("a burst of 100 first calls", () => {
  test("is answered whole, by no more sandboxes than fit, each running one call at a time", async () => {
    let replies: Msg[] = [];
    const seen = await transitionsOf(async () => {
      replies = await Promise.all(Array.from({ length: 100 }, () => invoke("busy", { ms: 20 })));
    });
    expect(replies.map(code).filter((each) => each !== "200")).toEqual([]);
    const answers = replies.map((reply) => reply.json<{ me: string; atOnce: number }>());
    expect(new Set(answers.map(({ atOnce }) => atOnce))).toEqual(new Set([1]));
    const started = new Set(seen.filter(({ to }) => to.startsWith("init")).map(({ id }) => id));
    expect(started.size).toBeLessThanOrEqual(ROOM);
    expect(new Set(answers.map(({ me }) => me)).size).toBeLessThanOrEqual(started.size);
  });
});

describe("warm sandboxes", () => {
  test("are used again, the most recently used first", async () => {
    await Promise.all([invoke("busy", { ms: 100 }), invoke("busy", { ms: 100 }), invoke("busy", { ms: 100 })]);
    const calls: string[] = [];
    for (let call = 0; call < 5; call++) calls.push((await invoke("busy", { ms: 0 })).json<{ me: string }>().me);
    expect(new Set(calls).size).toBe(1);
  });

  test("are stopped when nobody used them for a while: scale to zero", async () => {
    await invoke("busy");
    const dead = await transitionsOf(async () => {
      const workers = async () =>
        JSON.parse((await system.mayfly("ls", "--workers", "--json")).stdout) as Array<{ sandboxes: number }>;
      const hosted = async () => (await workers()).reduce((sum, { sandboxes }) => sum + sandboxes, 0);
      await expect.poll(hosted, { timeout: IDLE_MS * 5, interval: 200 }).toBe(0);
    });
    expect(dead.some(({ to }) => to === "dead")).toBe(true);
  });
});

describe("reserved concurrency", () => {
  test("is never exceeded; who finds none is throttled with the reason", async () => {
    await api(nats, "PutFunctionConcurrency", { FunctionName: "reserved", ReservedConcurrentExecutions: 3 });
    const running = new Map<string, boolean>();
    let most = 0;
    const watch = nats.subscribe("mayfly.state.sandbox.*", {
      callback: (_, message) => {
        const { id, to } = message.json<Transition>();
        running.set(id, to.startsWith("busy"));
        most = Math.max(most, [...running.values()].filter(Boolean).length);
      },
    });
    const settled = async () =>
      (await api(nats, "GetFunctionConcurrency", { FunctionName: "reserved" })).ReservedConcurrentExecutions;
    await expect.poll(settled).toBe(3);
    const replies: Msg[] = [];
    for (let round = 0; round < 3; round++) {
      replies.push(...(await Promise.all(Array.from({ length: 20 }, () => invoke("reserved", { ms: 150 })))));
    }
    watch.unsubscribe();
    const throttled = replies.filter((reply) => code(reply) === "429");
    expect(most).toBeLessThanOrEqual(3);
    expect(replies.filter((reply) => code(reply) === "200").length).toBeGreaterThanOrEqual(3);
    expect(throttled.length).toBeGreaterThan(0);
    expect(throttled[0]?.json()).toEqual({
      Reason: "ReservedFunctionConcurrentInvocationLimitExceeded",
      Type: "User",
      message: "Rate Exceeded.",
    });
  });
});

describe("an update", () => {
  test("changes what new calls run, and drops none that is running", async () => {
    await invoke("updated");
    const running = invoke("updated", { ms: 3000 });
    await configure(nats, "updated", { Environment: { Variables: { REVISION: "2" } } });
    const next = async () => (await invoke("updated")).json<{ revision: string }>().revision;
    await expect.poll(next, { timeout: 5000 }).toBe("2");
    const [old, after] = [await running, await invoke("updated")];
    expect(old.json()).toMatchObject({ revision: "1" });
    expect(after.json()).toMatchObject({ revision: "2" });
  });
});

describe("a sandbox that loses its process", () => {
  test("keeps /tmp and loses its memory, and its neighbours don't notice", async () => {
    const neighbour = invoke("busy", { ms: 2500 });
    const first = (await invoke("keeps", { write: "one" })).json<{ me: string; before: string | null }>();
    expect(first.before).toBeNull();
    const late = (await invoke("keeps", { write: "two", hang: true })).json<{ errorType: string }>();
    expect(late.errorType).toBe("Sandbox.Timedout");
    const second = (await invoke("keeps", { exit: true })).json<{ errorMessage: string }>();
    expect(second.errorMessage).toContain("exit status 3");
    const third = (await invoke("keeps")).json<{ me: string; before: string | null }>();
    expect(third.before).toBe("two");
    expect(third.me).not.toBe(first.me);
    expect(code(await neighbour)).toBe("200");
  });
});

test("code and system are read-only, /tmp is not", async () => {
  expect((await invoke("writes")).json()).toEqual({ task: "EROFS", usr: "EROFS", etc: "EROFS", tmp: "written" });
});
