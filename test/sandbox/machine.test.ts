import { describe, expect, test } from "vitest";
import { call, givenSandbox, spec } from "../support/machines.ts";

const invoke = (requestId: string, us = 0) =>
  ({ type: "sandbox.invoke", call: call(requestId), payload: new TextEncoder().encode("{}"), us, at: 1000 }) as const;
const booted = {
  type: "process.booted",
  createUs: 7,
  us: 2_000_000,
  at: 3000,
  runtimeVersion: "nodejs:24.1.0",
} as const;
const ready = { type: "process.ready", initUs: 9 } as const;
const usage = { peakMemoryMiB: 1, tail: undefined };
const responded = (requestId: string) =>
  ({ type: "process.responded", requestId, payload: new Uint8Array(), us: 5, usage }) as const;
const exited = {
  type: "process.exited",
  exit: { code: null, signal: "SIGKILL", outOfMemory: true },
  us: 5,
  usage,
} as const;
const stop = { type: "sandbox.stop", reason: "test" } as const;
const error = { errorType: "E", payload: "{}" };
const initFailed = { type: "process.initFailed", error, us: 2_003_000, usage } as const;
const notMade = { type: "process.notMade", fault: { name: "ENOSPC", text: "ENOSPC" } } as const;
const killFailed = { type: "kill", reason: "failure" } as const;

const idle = () => givenSandbox().when(booted, ready);
const busy = () => idle().when(invoke("q1"));

describe("what runs when its worker had been given up", () => {
  const end = { type: "sandbox.stop", reason: "test", us: 9, atOnce: true } as const;
  const ended = [
    { type: "finished", outcome: { kind: "lost", error: { errorType: "Sandbox.Abandoned" }, us: 9 } },
    { type: "reported", state: "dead" },
  ];

  test("is ended in the middle, and its sandbox with it", () => {
    for (const sandbox of [busy(), idle().when(exited, invoke("q1")), idle().when(exited, invoke("q1"), booted)]) {
      sandbox.when(end);
      const said = sandbox.said.filter(({ type }) => type === "finished" || type === "reported");
      expect(said).toMatchObject(ended);
      expect(said[0]).toMatchObject({ sandbox: { leaving: "test" } });
      expect(sandbox.isOver).toBe(true);
    }
  });

  test("an idle one stops as ever", () => {
    expect(idle().when(end).said).toMatchObject([{ type: "reported", state: "dead", reason: "stopped" }]);
  });
});

describe("init", () => {
  test("a new sandbox boots its process and reports itself usable when the runtime is ready", () => {
    const sandbox = givenSandbox();
    expect(sandbox.told).toMatchObject([{ type: "boot" }]);
    expect(sandbox.when(booted, ready).state).toBe("idle.ready");
    expect(sandbox.said).toMatchObject([
      { type: "initBegan", sandbox: { runtimeVersion: "nodejs:24.1.0", bootedAt: 3000 } },
      { type: "initEnded", sandbox: { initEnd: { status: "success", us: 9 } } },
      { type: "reported", state: "idle" },
    ]);
  });

  test("that fails costs the process, and the next invocation tries it again and is told what comes of it", () => {
    const sandbox = givenSandbox().when(booted, initFailed);
    expect(sandbox.said.slice(1)).toMatchObject([
      { type: "initEnded", sandbox: { job: null, initEnd: { status: "error", errorType: "E", us: 3000 } } },
      { type: "reported", state: "idle", reason: "init failed" },
    ]);
    expect(sandbox.said.at(-1)).not.toHaveProperty("error");
    expect(sandbox.told).toEqual([killFailed]);
    expect(sandbox.state).toBe("idle.reset");

    const again = sandbox.when(invoke("q1", 1_990_000), booted, initFailed);
    expect(again.told).toEqual([{ type: "boot", spec: spec(), call: call("q1") }, killFailed]);
    expect(again.said).toMatchObject([
      { type: "initBegan", sandbox: { job: { call: { requestId: "q1" } } } },
      { type: "initEnded", sandbox: { initEnd: { status: "error", us: 3000 } } },
      { type: "started", job: { cold: true, bootsAgain: true } },
      { type: "finished", outcome: { kind: "error", error, us: 2_003_000 } },
    ]);
    expect(again.when(invoke("q2"), booted, ready).state).toBe("busy.running");
  });

  test("that ends its process is tried again too, and may go well then", () => {
    const sandbox = givenSandbox().when(booted, exited);
    expect(sandbox.said.slice(1)).toMatchObject([
      { type: "initEnded", sandbox: { initEnd: { status: "error", errorType: "Runtime.OutOfMemory" } } },
      { type: "reported", state: "idle", reason: "exited during init" },
    ]);
    expect(sandbox.state).toBe("idle.reset");
    const again = sandbox.when(invoke("q1"), booted, ready);
    expect(again.said.map(({ type }) => type)).toEqual(["initBegan", "initEnded", "started"]);
    expect(again.when(responded("q1")).said).toMatchObject([{ type: "finished", outcome: { kind: "ok" } }]);
  });

  test("which its host can't begin, is reported as the host's fault, and nothing of the function is told", () => {
    for (const sandbox of [givenSandbox(), givenSandbox().when(booted)]) {
      sandbox.when(notMade);
      expect(sandbox.said.at(-1)).toMatchObject({ type: "reported", state: "failed", fault: notMade.fault });
      expect(sandbox.said.at(-1)).not.toHaveProperty("error");
      expect(sandbox.isOver).toBe(true);
    }
  });

  test("which its host can't begin in time is the host's fault too", () => {
    const sandbox = givenSandbox().after(60_000);
    expect(sandbox.said).toMatchObject([{ type: "reported", state: "failed", fault: { name: "BootTimedOut" } }]);
  });

  test.each([
    ["before it boots", []],
    ["when it has booted", [booted]],
  ])("that its host can't repeat: %s, who invoked it asks elsewhere, and it is gone", (_, before) => {
    const sandbox = idle().when(exited, invoke("q1"), ...before);
    const saidBefore = sandbox.saidSoFar.length;
    sandbox.when(notMade);
    const said = sandbox.saidSoFar.slice(saidBefore).filter(({ type }) => type !== "initEnded");
    expect(said).toMatchObject([
      { type: "refused", call: call("q1"), why: "ENOSPC", alive: false },
      { type: "reported", state: "failed", fault: notMade.fault },
    ]);
    expect(sandbox.isOver).toBe(true);
  });

  test("is nothing to try again where the process could not even be made, and the reason is reported", () => {
    const sandbox = givenSandbox().when(initFailed);
    expect(sandbox.said).toMatchObject([{ type: "reported", state: "failed", error }]);
    expect(sandbox.isOver).toBe(true);
  });

  test("a process that can't be made in a minute is given up, and the sandbox reported as failed", () => {
    const sandbox = givenSandbox().after(60_000);
    expect(sandbox.told).toEqual([{ type: "giveUp" }]);
    expect(sandbox.said).toMatchObject([{ type: "reported", state: "failed" }]);
    expect(sandbox.isOver).toBe(true);
  });

  test("an init that takes longer than its limit costs the process, and the sandbox stays usable", () => {
    const sandbox = givenSandbox().when(booted).after(10_000);
    expect(sandbox.state).toBe("idle.reset");
    expect(sandbox.told).toEqual([{ type: "kill", reason: "timeout" }]);
    expect(sandbox.said).toMatchObject([
      { type: "initEnded", sandbox: { initEnd: { status: "timeout", us: 10_000_000 } } },
      { type: "reported", state: "idle" },
    ]);
  });
});

describe("an invocation", () => {
  test("is delivered with its deadline, and the first one is cold", () => {
    const sandbox = busy();
    expect(sandbox.told).toMatchObject([{ type: "deliver", deadlineAt: 1000 + spec().timeoutMs }]);
    expect(sandbox.said).toMatchObject([{ type: "started", job: { cold: true } }]);
    expect(sandbox.when(responded("q1"), invoke("q2")).said).toMatchObject([
      { type: "finished", outcome: { kind: "ok" } },
      { type: "started", job: { cold: false } },
    ]);
  });

  test("is refused by a busy sandbox, which goes on with the first", () => {
    const sandbox = busy().when(invoke("q2"));
    expect(sandbox.said).toMatchObject([{ type: "refused", call: { requestId: "q2" }, why: /SandboxBusy/ }]);
    expect(sandbox.when(responded("q1")).said).toMatchObject([
      { type: "finished", job: { call: { requestId: "q1" } } },
    ]);
  });

  test("is not ended by the answer of another one", () => {
    expect(busy().when(responded("q0")).said).toEqual([]);
  });

  test("that takes too long is answered in Lambda's words, and costs the process", () => {
    const sandbox = busy().after(spec().timeoutMs);
    expect(sandbox.said).toMatchObject([
      { type: "finished", outcome: { kind: "timeout", error: { payload: /Task timed out after 3\.00 seconds/ } } },
    ]);
    expect(sandbox.told).toEqual([{ type: "kill", reason: "timeout" }]);
    expect(sandbox.state).toBe("idle.reset");
  });

  test("whose process dies is answered with the reason", () => {
    const sandbox = busy().when(exited);
    expect(sandbox.said).toMatchObject([
      { type: "finished", outcome: { kind: "error", error: { errorType: "Runtime.OutOfMemory" } } },
    ]);
    expect(sandbox.state).toBe("idle.reset");
  });

  test("after a reset boots again inside its own time, and is cold", () => {
    const sandbox = busy().when(exited).when(invoke("q2"));
    expect(sandbox.state).toBe("busy.init.booting");
    expect(sandbox.told).toMatchObject([{ type: "boot" }]);
    expect(sandbox.when(booted, ready).told).toMatchObject([{ type: "deliver" }]);
    expect(sandbox.after(spec().timeoutMs).said).toMatchObject([{ type: "finished", job: { cold: true } }]);
  });

  test("whose repeated init outlasts it says how long that init took, and that it had begun", () => {
    const sandbox = busy().when(exited, invoke("q2", 1_500_000), booted).after(spec().timeoutMs);
    expect(sandbox.said).toMatchObject([
      { type: "initEnded", sandbox: { initEnd: { status: "timeout", us: 2_500_000 } } },
      { type: "started", job: { call: { requestId: "q2" } } },
      { type: "finished", outcome: { kind: "timeout" } },
    ]);
    expect(sandbox.when(invoke("q3")).after(spec().timeoutMs)).toMatchObject({
      state: "idle.reset",
      said: [
        { type: "started", job: { call: { requestId: "q3" } }, sandbox: { initEnd: null } },
        { type: "finished", outcome: { kind: "timeout" } },
      ],
    });
  });
});

describe("an idle sandbox", () => {
  test("is frozen when nobody needed it for a moment, and thawed before the next invocation is delivered", () => {
    const sandbox = idle().after(99);
    expect(sandbox.state).toBe("idle.ready");
    expect(sandbox.after(1)).toMatchObject({ state: "idle.frozen", told: [{ type: "freeze" }] });
    expect(sandbox.when(invoke("q1")).told).toMatchObject([{ type: "thaw" }, { type: "deliver" }]);
    expect(sandbox.said).toMatchObject([{ type: "started", job: { cold: true } }]);
    expect(sandbox.when(responded("q1")).after(100).when(invoke("q2")).said).toMatchObject([
      { type: "started", job: { cold: false } },
    ]);
  });

  test("is not frozen in a burst, nor where the host can't", () => {
    const burst = idle().after(99).when(invoke("q1"), responded("q1")).after(99);
    expect(burst.state).toBe("idle.ready");
    const never = givenSandbox({ limits: { initMs: 10_000, idleMs: 300_000 } }).when(booted, ready);
    expect(never.after(299_999).state).toBe("idle.ready");
  });

  test("that is frozen loses its process or its time as any other", () => {
    expect(idle().after(100).when(exited).state).toBe("idle.reset");
    expect(idle().after(100).after(299_900).isOver).toBe(true);
  });
});

describe("an end", () => {
  test("comes at once to an idle sandbox", () => {
    const sandbox = idle().when(stop);
    expect(sandbox.said).toMatchObject([{ type: "reported", state: "dead" }]);
    expect(sandbox.isOver).toBe(true);
  });

  test("waits for the running invocation, whose front end is told that it is over", () => {
    const sandbox = busy().when(stop);
    expect(sandbox.isOver).toBe(false);
    expect(sandbox.when(responded("q1")).said).toMatchObject([
      { type: "finished", sandbox: { leaving: "test" } },
      { type: "reported", state: "dead" },
    ]);
    expect(sandbox.isOver).toBe(true);
  });

  test("comes to what nobody used for too long", () => {
    expect(idle().after(300_000).said).toMatchObject([
      { type: "reported", state: "dead", reason: "idle for too long" },
    ]);
  });
});

describe("extensions", () => {
  const lingering = () => givenSandbox().when({ ...booted, lingers: true }, { ...ready, lingers: true });
  const settled = { type: "process.settled", us: 9 } as const;
  const gone = { type: "process.gone", us: 9 } as const;

  test("let the caller have its answer at once, and keep the sandbox busy until they are done", () => {
    const sandbox = lingering().when(invoke("q1"), responded("q1"));
    expect(sandbox.said.at(-1)).toMatchObject({ type: "returned", outcome: { kind: "ok", us: 5 } });
    expect(sandbox.when(invoke("q2")).said).toMatchObject([{ type: "refused", why: /SandboxBusy/ }]);
    expect(sandbox.when(settled).said).toMatchObject([{ type: "finished", outcome: { kind: "ok", us: 9 } }]);
    expect(sandbox.state).toBe("idle.ready");
  });

  test("that work too long cost the process, and the answer stays what it was", () => {
    const sandbox = lingering().when(invoke("q1"), responded("q1")).after(spec().timeoutMs);
    expect(sandbox.state).toBe("busy.ending");
    expect(sandbox.told.at(-1)).toEqual({ type: "kill", reason: "timeout" });
    expect(sandbox.when(gone).said.at(-1)).toMatchObject({ type: "finished", outcome: { kind: "ok" } });
    expect(sandbox.state).toBe("idle.reset");
  });

  test("are told of a timeout, of which the caller has heard by then", () => {
    const sandbox = lingering().when(invoke("q1")).after(spec().timeoutMs);
    expect(sandbox.said.at(-1)).toMatchObject({ type: "returned", outcome: { kind: "timeout" } });
    expect(sandbox.told.at(-1)).toEqual({ type: "kill", reason: "timeout" });
    expect(sandbox.when(gone).said).toMatchObject([{ type: "finished", outcome: { kind: "timeout" } }]);
  });

  test("are told of a crash, of which the caller has heard by then", () => {
    const crash = { ...exited, exit: { code: 3, signal: null, outOfMemory: false }, lingers: true } as const;
    const sandbox = lingering().when(invoke("q1"), crash);
    expect(sandbox.said.at(-1)).toMatchObject({ type: "returned", outcome: { error: { payload: /exit status 3/ } } });
    expect(sandbox.state).toBe("busy.ending");
    expect(sandbox.after(spec().timeoutMs).state).toBe("busy.ending");
    expect(sandbox.when(gone).said).toMatchObject([{ type: "finished", outcome: { kind: "error" } }]);
    expect(sandbox.state).toBe("idle.reset");
  });

  test("that crash after the answer reset the sandbox", () => {
    const sandbox = lingering().when(invoke("q1"), responded("q1"), exited);
    expect(sandbox.said.at(-1)).toMatchObject({ type: "finished", outcome: { kind: "ok" } });
    expect(sandbox.state).toBe("idle.reset");
  });
});
