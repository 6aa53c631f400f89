/** The life of extensions beside a runtime, by the Extensions API: our host, outside of any sandbox. */
import { describe, expect, test } from "vitest";
import { arn, type Booted, bodyOf, boot, host, nodeBootstrap } from "./booted.ts";
import { echoing, extension, listening } from "./extension-programs.ts";

const lingering = { type: "ready", lingers: true };

const withExtensions = (files: Record<string, string>) =>
  boot(host, {
    bootstrap: echoing,
    ...Object.fromEntries(Object.entries(files).map(([name, text]) => [`extensions/${name}`, text])),
  });

/** What an extension has printed of its events. */
const eventsOf = (booted: Booted, name: string) =>
  [...booted.printed().matchAll(new RegExp(`^${name} got (.+)$`, "gm"))].map(([, json]) => JSON.parse(json!) as object);

describe("init", () => {
  test("has the runtime start when all external extensions have registered, and ends when all ask for an event", async () => {
    await using booted = await boot(host, {
      bootstrap: echoing.replace("runtime started", '"); require("node:fs").writeFileSync(process.env.MARK, "'),
      "extensions/quick": listening([]),
      "extensions/slow": extension(`
        const { existsSync } = require("node:fs");
        const { MARK } = process.env;
        console.log("before: " + existsSync(MARK));
        const id = identified(await register(["INVOKE"]));
        while (!existsSync(MARK)) await new Promise((resolve) => setTimeout(resolve, 5));
        console.log("after: " + existsSync(MARK));
        await nextEvent(id);`),
    });
    expect(await booted.init({ env: { MARK: `${booted.taskRoot}/started` } })).toEqual(lingering);
    expect(booted.printed()).toMatch(/before: false\n\s*after: true\n/);
  });

  test("tells an extension what function it is for, and only if asked whose it is", async () => {
    await using booted = await withExtensions({
      curious: extension(`
        const answer = await register([], { "Lambda-Extension-Accept-Feature": "other, accountId" });
        console.log(answer.status + " " + answer.text);
        console.log("env " + Object.keys(process.env).filter((key) => /^_|LOG_GROUP|TASK_ROOT|RUNTIME_DIR|EXECUTION/.test(key)));
        await nextEvent(identified(answer));`),
    });
    await booted.init({ env: { AWS_EXECUTION_ENV: "x", LAMBDA_RUNTIME_DIR: "/var/runtime", COLOUR: "red" } });
    const [, body] = await booted.printedLike(/200 (\{.+)/);
    expect(JSON.parse(body!)).toEqual({
      functionName: "greet",
      functionVersion: "7",
      handler: "index.handler",
      accountId: "000000000000",
    });
    expect(booted.printed()).toMatch(/^env $/m);
  });

  test.each([
    ["leaves", "process.exit(0);", "Extension.Crash", "exit code 0"],
    ["crashes", "await register([]); process.exit(3);", "Extension.Crash", "exit status 3"],
    [
      "reports that it can't begin",
      `const id = identified(await register([]));
       await call("POST", "/2020-01-01/extension/init/error", { headers: { ...id, "Lambda-Extension-Function-Error-Type": "Extension.NoKey" } });`,
      "Extension.InitError",
      "extension it: Extension.NoKey",
    ],
  ])("fails when an extension %s", async (_what, script, errorType, reason) => {
    await using booted = await withExtensions({ it: extension(script) });
    const said = await booted.init();
    expect(said).toMatchObject({ type: "initError", errorType });
    expect(bodyOf(said)).toEqual({ errorType, errorMessage: `RequestId:  Error: ${reason}` });
    expect(await booted.next()).toMatchObject({ type: "ended", code: 1 });
  });

  test("fails when an extension can't be started, or there are more than ten", async () => {
    await using broken = await withExtensions({ broken: "#!/no/such/program\n" });
    expect(await broken.init()).toMatchObject({ type: "initError", errorType: "Extension.LaunchError" });
    const names = Array.from({ length: 11 }, (_, n) => [`e${n}`, "#!/bin/sh\nsleep 60\n"]);
    await using crowd = await withExtensions(Object.fromEntries(names));
    const said = await crowd.init();
    expect(bodyOf(said)).toMatchObject({ errorMessage: "RequestId:  Error: Extension limit (10) reached" });
  });

  test("goes on without extensions where a layer switches them off", async () => {
    await using booted = await boot(host, {
      bootstrap: echoing,
      "extensions/it": extension("process.exit(1);"),
      "disable-extensions-jwigqn8j": "",
    });
    expect(await booted.init()).toEqual({ type: "ready" });
  });
});

describe("an invocation", () => {
  test("is told to who wants to know, and is over when they ask again, after the answer", async () => {
    await using booted = await withExtensions({
      busy: listening(
        ["INVOKE"],
        `await new Promise((resolve) => setTimeout(resolve, 200)); console.log("busy is done");`,
      ),
      idle: listening(["SHUTDOWN"]),
    });
    await booted.init();
    const header = { deadlineMs: 1_900_000_000_000, traceId: "Root=1-a" };
    expect(bodyOf(await booted.invoke({ n: 1 }, header))).toEqual({ n: 1 });
    expect(booted.printed()).not.toContain("busy is done");
    expect(await booted.next()).toEqual({ type: "settled" });
    expect(booted.printed()).toContain("busy is done");
    expect(eventsOf(booted, "busy")).toEqual([
      {
        eventType: "INVOKE",
        deadlineMs: 1_900_000_000_000,
        requestId: "request-1",
        invokedFunctionArn: arn,
        tracing: { type: "X-Amzn-Trace-Id", value: "Root=1-a" },
      },
    ]);
    expect(eventsOf(booted, "idle")).toEqual([]);
  });

  test("fails with the extension that leaves, and has its answer when it came before", async () => {
    for (const [answers, said] of [
      [false, { type: "error", errorType: "Extension.Crash" }],
      [true, { type: "response" }],
    ] as const) {
      const leave = answers ? "await new Promise((resolve) => setTimeout(resolve, 200));" : "";
      await using booted = await withExtensions({ it: listening(["INVOKE"], `${leave} process.exit(1);`) });
      await booted.init();
      expect(await booted.invoke({ hang: !answers })).toMatchObject(said);
      expect(await booted.next()).toMatchObject({ type: "ended", code: 1 });
    }
  });

  test("whose runtime ends is told at once, and then the extensions are", async () => {
    await using booted = await withExtensions({ it: listening(["SHUTDOWN"]) });
    await booted.init();
    expect(await booted.invoke({ exit: 3 })).toEqual({ type: "exit", code: 3, signal: null });
    expect(await booted.next()).toMatchObject({ type: "ended", code: 3 });
    expect(eventsOf(booted, "it")).toMatchObject([{ eventType: "SHUTDOWN", shutdownReason: "failure" }]);
  });
});

describe("the end", () => {
  test("comes to the runtime first, then to the extensions, with its reason and what time is left", async () => {
    await using booted = await withExtensions({ it: listening(["INVOKE", "SHUTDOWN"]), other: listening(["INVOKE"]) });
    await booted.init();
    const before = Date.now();
    booted.shutDown("spindown");
    expect(await booted.next()).toMatchObject({ type: "ended", code: 0 });
    expect(booted.printed()).toMatch(/runtime got SIGTERM\n(.*\n)*it got /);
    const [event] = eventsOf(booted, "it") as [{ deadlineMs: number }];
    expect(event).toMatchObject({ eventType: "SHUTDOWN", shutdownReason: "spindown" });
    expect(event.deadlineMs - before).toBeGreaterThanOrEqual(2000);
    expect(eventsOf(booted, "other")).toEqual([]);
  });

  test("reaches an extension that is at work, and takes the one that won't go", async () => {
    const stubborn = listening(["INVOKE", "SHUTDOWN"]).replace("process.exit(0)", "await new Promise(() => {})");
    await using booted = await withExtensions({ stubborn });
    await booted.init();
    const ended = booted.invoke({ hang: true });
    await booted.printedLike(/stubborn got \{"eventType":"INVOKE"/);
    booted.shutDown("timeout");
    expect(await ended).toMatchObject({ type: "ended", code: 0 });
    expect(booted.printed()).toContain('"shutdownReason":"timeout"');
  });

  test("comes at once where there are no extensions", async () => {
    await using booted = await withExtensions({});
    expect(await booted.init()).toEqual({ type: "ready" });
    booted.shutDown("spindown");
    expect(await booted.next()).toMatchObject({ type: "ended", code: 0 });
    expect(booted.printed()).not.toContain("SIGTERM");
  });
});

test("a runtime of ours has extensions beside it too", async () => {
  await using booted = await boot(host, {
    "index.js": "exports.handler = async (event) => event;",
    "extensions/it": listening(["INVOKE", "SHUTDOWN"]),
  });
  expect(await booted.init({ client: nodeBootstrap })).toEqual(lingering);
  expect(bodyOf(await booted.invoke({ n: 1 }))).toEqual({ n: 1 });
  expect(await booted.next()).toEqual({ type: "settled" });
  booted.shutDown("spindown");
  expect(await booted.next()).toMatchObject({ type: "ended", code: 0 });
  expect(eventsOf(booted, "it")).toMatchObject([{ eventType: "INVOKE" }, { eventType: "SHUTDOWN" }]);
});
