/** Looking inside with the plain `nats` CLI: services, transitions, functions, code, one actor's snapshot. */
import { execFile, spawn } from "node:child_process";
import { promisify } from "node:util";
import type { NatsConnection } from "nats";
import { afterAll, beforeAll, expect, test } from "vitest";
import { onPath } from "../../bin/embedded/program.ts";
import type { Transition } from "../../subjects/state.ts";
import { deploy, HELLO_NODE } from "../support/functions.ts";
import { type RunningSystem, startMayfly } from "../support/system.ts";
import { describeUnless, lackingIf } from "../support/unless.ts";

const run = promisify(execFile);
const program = await onPath("nats", process.env);

const lacking = lackingIf(
  program === undefined,
  "there is no `nats` on PATH; go install github.com/nats-io/natscli/nats@latest",
);

describeUnless(lacking)("the nats CLI", () => {
  let system: RunningSystem;
  let connection: NatsConnection;
  const nats = async (...args: string[]) => {
    const { stdout, stderr } = await run(program ?? "nats", ["--context", "mayfly", ...args], { env: system.env });
    return stdout + stderr;
  };

  beforeAll(async () => {
    system = await startMayfly({ env: { MAYFLY_IDLE_TIMEOUT: "2000" } });
    connection = await system.connect();
    await deploy(await system.connect("platform"), { name: "hello", files: HELLO_NODE });
  });
  afterAll(() => system?.[Symbol.asyncDispose]());

  test("invokes with nothing but the context", async () => {
    const answer = await nats("req", "mayfly.invoke.hello", '{"name":"Ada"}');
    expect(answer).toContain('{"message":"Hello, Ada!"}');
    expect(answer).toContain("X-Amzn-RequestId");
    expect(answer).toMatch(/Mayfly-Start: (cold|warm)/);
  });

  test("lists the components, with honest numbers", async () => {
    const listed = JSON.parse(await nats("micro", "ls", "--json")) as Array<{ name: string }>;
    const names = listed.map(({ name }) => name).sort();
    for (const name of ["control-plane", "counting", "frontend", "placement", "worker", "worker-manager"]) {
      expect(names).toContain(`mayfly-${name}`);
    }
    const invokes = async () => {
      const [stats] = JSON.parse(await nats("micro", "stats", "mayfly-frontend", "--json")) as Array<{
        endpoints: Array<{ name: string; num_requests: number; num_errors: number; average_processing_time: number }>;
      }>;
      const endpoint = stats?.endpoints.find(({ name }) => name === "invoke");
      if (endpoint === undefined) throw new Error("no endpoint invoke");
      return endpoint;
    };
    const before = await invokes();
    for (let call = 0; call < 5; call++) await connection.request("mayfly.invoke.hello", "{}");
    await connection.request("mayfly.invoke.nobody", "{}");
    const after = await invokes();
    expect(after.num_requests - before.num_requests).toBe(6);
    expect(after.num_errors - before.num_errors).toBe(1);
    expect(after.average_processing_time).toBeGreaterThan(10_000);
    expect(await nats("micro", "info", "mayfly-worker")).toContain("invoke");
  });

  test("shows a sandbox go init, idle, busy, idle, dead", async () => {
    const watch = spawn(program ?? "nats", ["--context", "mayfly", "sub", "mayfly.state.sandbox.*", "--raw"], {
      env: system.env,
    });
    try {
      const seen: Transition[] = [];
      const dead = new Promise<void>((resolve) => {
        let rest = "";
        watch.stdout.setEncoding("utf8").on("data", (text: string) => {
          const lines = (rest + text).split("\n");
          rest = lines.pop() ?? "";
          for (const line of lines.filter((each) => each.startsWith("{"))) {
            const transition = JSON.parse(line) as Transition;
            seen.push(transition);
            if (transition.to === "dead" && seen.some(({ id, to }) => id === transition.id && to === "busy.running"))
              resolve();
          }
        });
      });
      // A subscription made by another process: heard once an invoke's transitions come through.
      const listening = async () => {
        await connection.request("mayfly.invoke.hello", "{}", { timeout: 10_000 });
        return seen.length > 0;
      };
      await expect.poll(listening, { timeout: 10_000 }).toBe(true);
      await dead;
      const cold = async () =>
        (await connection.request("mayfly.invoke.hello", "{}", { timeout: 10_000 })).headers?.get("Mayfly-Start");
      expect(await cold()).toBe("cold");
      const whole = () => {
        const id = seen.findLast(({ to }) => to.startsWith("init"))?.id;
        const phases = seen.filter((each) => each.id === id).map(({ to }) => to.split(".")[0]);
        return phases.filter((phase, at) => phase !== phases[at - 1]);
      };
      await expect.poll(whole, { timeout: 10_000 }).toEqual(["init", "idle", "busy", "idle", "dead"]);
    } finally {
      watch.kill("SIGKILL");
    }
  });

  test("shows functions in KV and code in the object store", async () => {
    expect(await nats("kv", "ls")).toContain("FUNCTIONS");
    const record = JSON.parse(await nats("kv", "get", "FUNCTIONS", "000000000000.hello", "--raw")) as { fn: string };
    expect(record.fn).toBe("hello");
    expect(await nats("object", "ls", "CODE")).toMatch(/[0-9a-f]{64}/);
  });

  test("asks one actor for its snapshot, and hears at once when there is none", async () => {
    const reply = await connection.request("mayfly.invoke.hello", "{}", { timeout: 10_000 });
    const [, sandbox] = /\/(\S+) /.exec(reply.headers?.get("Mayfly-Sandbox") ?? "") ?? [];
    const snapshot = JSON.parse((await nats("req", `mayfly.inspect.sandbox.${sandbox}`, "", "--raw")).trim()) as {
      state: unknown;
      context: { spec: { fn: string }; invocations: number };
    };
    expect(snapshot).toMatchObject({ state: { idle: expect.any(String) }, context: { spec: { fn: "hello" } } });
    await expect(connection.request("mayfly.inspect.sandbox.nobody", "")).rejects.toThrow(/no responders/i);
  });

  test("keeps why a call was slow: a cold one's whole life, a plain warm one's not", async () => {
    const lives = async () => {
      const stream = await nats(
        "stream",
        "get",
        "STATE",
        "--last-for",
        "mayfly.history.life.invocation.>",
        "--json",
      ).catch(() => "{}");
      return stream;
    };
    await connection.request("mayfly.invoke.hello", "{}", { timeout: 10_000 });
    expect(await lives()).toContain("mayfly.history.life.invocation.");
  });
});
