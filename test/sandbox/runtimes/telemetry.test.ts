/** The Telemetry API and the Logs API before it: our host, with an extension that listens on a port of its own. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Api, refusal } from "./api.ts";
import { type Booted, bodyOf, boot, host, nodeBootstrap } from "./booted.ts";
import { echoing, extension } from "./extension-programs.ts";

interface Telemetry {
  readonly time: string;
  readonly type: string;
  readonly record: Record<string, unknown>;
}

/** Listens before it subscribes; prints a line for each event it is sent, and ends at SHUTDOWN. */
const subscriber = (how: "HTTP" | "TCP", path: string, schemaVersion: string, types: readonly string[]) =>
  extension(`
  const net = require("node:net");
  const told = (lines) => { for (const each of lines) console.log("told " + JSON.stringify(each)); };
  const server = ${
    how === "HTTP"
      ? `http.createServer((request, response) => {
          let text = "";
          request.on("data", (chunk) => { text += chunk; }).on("end", () => { told(JSON.parse(text)); response.end(); });
        })`
      : `net.createServer((socket) => {
          let text = "";
          socket.on("data", (chunk) => {
            const lines = (text + chunk).split("\\n");
            text = lines.pop();
            told(lines.map((line) => JSON.parse(line)));
          });
        })`
  };
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  const id = identified(await register(["SHUTDOWN"]));
  const destination = ${how === "HTTP" ? '{ protocol: "HTTP", URI: "http://sandbox.localdomain:" + port }' : '{ protocol: "TCP", port }'};
  const body = JSON.stringify({
    ${schemaVersion ? `schemaVersion: "${schemaVersion}",` : ""}
    types: ${JSON.stringify(types)}, destination, buffering: { timeoutMs: 25, maxItems: 1000 } });
  const answer = await call("PUT", "${path}", { headers: id, body });
  console.log("subscribed " + answer.status + " " + answer.text);
  for (;;) if ((await nextEvent(id)).eventType === "SHUTDOWN") process.exit(0);`);

const telemetryOf = (booted: Booted): Telemetry[] =>
  [...booted.printed().matchAll(/^told (.+)$/gm)].map(([, json]) => JSON.parse(json!) as Telemetry);

async function subscribed(how: "HTTP" | "TCP", types: readonly string[], runtime: Record<string, string>) {
  const watcher = subscriber(how, "/2022-07-01/telemetry", "2022-12-13", types);
  return boot(host, { ...runtime, "extensions/watcher": watcher });
}

const ownRuntime = { "index.js": "exports.handler = async (event) => { console.log('two\\nlines'); return event; };" };
const throwing = { "index.js": "exports.handler = async () => { throw new TypeError('no'); };" };
const settled = { type: "settled" };

describe("the telemetry of a life", () => {
  test.each(["HTTP", "TCP"] as const)("arrives by %s: init from its start, and each invocation", async (how) => {
    await using booted = await subscribed(how, ["platform"], { bootstrap: echoing });
    expect(await booted.init({ env: { AWS_LAMBDA_LOG_STREAM_NAME: "stream" } })).toMatchObject({ lingers: true });
    expect(booted.printed()).toContain("subscribed 200 OK");
    await booted.invoke({ n: 1 }, { traceId: "Root=1-a" });
    expect(await booted.next()).toEqual(settled);
    await booted.printedLike(/told .+platform\.report/);
    const events = telemetryOf(booted);
    // The runtime begins when the extension has registered, and may be there before it has subscribed.
    const inOrder = events.filter(({ type }) => type !== "platform.telemetrySubscription");
    expect(inOrder.map(({ type }) => type)).toEqual([
      "platform.initStart",
      "platform.initRuntimeDone",
      "platform.extension",
      "platform.initReport",
      "platform.start",
      "platform.runtimeDone",
      "platform.report",
    ]);
    const records = Object.fromEntries(events.map(({ type, record }) => [type.slice("platform.".length), record]));
    const kind = { initializationType: "on-demand", phase: "init" };
    const tracing = { type: "X-Amzn-Trace-Id", value: "Root=1-a" };
    expect(records).toMatchObject({
      initStart: { ...kind, functionName: "greet", functionVersion: "7", instanceId: "stream" },
      telemetrySubscription: { name: "watcher", state: "Subscribed", types: ["platform"] },
      initRuntimeDone: { ...kind, status: "success" },
      extension: { name: "watcher", state: "Ready", events: ["SHUTDOWN"] },
      initReport: { ...kind, status: "success", metrics: { durationMs: expect.any(Number) } },
      start: { requestId: "request-1", version: "7", tracing },
      runtimeDone: { requestId: "request-1", status: "success", metrics: { producedBytes: 7 }, tracing },
      report: { requestId: "request-1", status: "success", metrics: { memorySizeMB: 128 } },
    });
    const { metrics } = records.report as { metrics: Record<string, number> };
    expect(metrics.maxMemoryUsedMB).toBeGreaterThan(10);
    expect(metrics.billedDurationMs).toBeGreaterThanOrEqual(metrics.durationMs! + metrics.initDurationMs!);
    const { spans } = records.runtimeDone as { spans: { name: string }[] };
    expect(spans.map(({ name }) => name)).toEqual(["responseLatency", "responseDuration", "runtimeOverhead"]);
  });

  test("has the lines of a bootstrap and of extensions, to who wants them", async () => {
    await using booted = await subscribed("HTTP", ["function"], { bootstrap: echoing });
    await booted.init();
    await booted.invoke({ print: "a line" });
    await booted.printedLike(/told .+a line/);
    const lines = telemetryOf(booted).map(({ type, record }) => [type, record]);
    expect(lines).toEqual([
      ["function", "runtime started"],
      ["function", "a line"],
    ]);
  });

  test("has a message of a runtime of ours as one line, however many it has", async () => {
    await using booted = await subscribed("HTTP", ["function"], ownRuntime);
    await booted.init({ client: nodeBootstrap });
    expect(bodyOf(await booted.invoke({ n: 1 }))).toEqual({ n: 1 });
    await booted.printedLike(/told .+two\\nlines/);
  });

  test("calls an error that a runtime of ours answers with by the same name as AWS's does", async () => {
    await using booted = await subscribed("HTTP", ["platform"], throwing);
    await booted.init({ client: nodeBootstrap });
    expect(await booted.invoke({})).toMatchObject({ type: "error", errorType: "TypeError" });
    await booted.printedLike(/told .+platform\.report/);
    const end = { record: { status: "error", errorType: "Runtime.Unknown" } };
    expect(telemetryOf(booted).slice(-2)).toMatchObject([end, end]);
  });

  test("tells how an invocation ended that ran out of time, before the extension is told to go", async () => {
    await using booted = await subscribed("HTTP", ["platform"], { bootstrap: echoing });
    await booted.init({ phase: "invoke" });
    const ended = booted.invoke({ hang: true, print: "begun" });
    await booted.printedLike(/begun/);
    booted.shutDown("timeout");
    expect(await ended).toMatchObject({ type: "ended" });
    const events = telemetryOf(booted);
    expect(events[0]).toMatchObject({ type: "platform.initStart", record: { phase: "invoke" } });
    expect(events.slice(-2)).toMatchObject([
      { type: "platform.runtimeDone", record: { status: "timeout" } },
      { type: "platform.report", record: { status: "timeout" } },
    ]);
  });

  test("tells how an init ended that failed, and one that ran out of time", async () => {
    const refusing = `
      const [hostname, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
      const headers = { "Lambda-Runtime-Function-Error-Type": "Runtime.NoLuck" };
      const path = "/2018-06-01/runtime/init/error";
      require("node:http").request({ hostname, port, method: "POST", path, headers }).end("{}");
      setInterval(() => {}, 1000);`;
    const ends = [
      {
        does: `exec '${process.execPath}' -e '${refusing}'`,
        reason: "failure",
        end: { status: "error", errorType: "Runtime.NoLuck" },
      },
      { does: "exit 3", reason: null, end: { status: "error", errorType: "Runtime.ExitError" } },
      { does: "echo begun; exec sleep 60", reason: "timeout", end: { status: "timeout" } },
    ] as const;
    for (const { does, reason, end } of ends) {
      const bootstrap = `#!/bin/sh\nuntil [ -e go ]; do sleep 0.01; done\n${does}\n`;
      await using booted = await subscribed("HTTP", ["platform"], { bootstrap });
      const said = booted.init({ runtimeVersion: "provided:al2023" });
      await booted.printedLike(/subscribed 200/);
      await writeFile(join(booted.taskRoot, "go"), "");
      await (reason === "timeout" ? booted.printedLike(/begun/) : said);
      if (reason !== null) booted.shutDown(reason);
      await booted.printedLike(/told .+platform\.initReport/);
      const events = telemetryOf(booted).filter(({ type }) => type.startsWith("platform.init"));
      const kind = { initializationType: "on-demand", phase: "init" };
      expect(events).toMatchObject([
        { type: "platform.initStart", record: { ...kind, runtimeVersion: "provided:al2023" } },
        { type: "platform.initRuntimeDone", record: { ...kind, ...end } },
        { type: "platform.initReport", record: { ...kind, ...end, metrics: { durationMs: expect.any(Number) } } },
      ]);
    }
  });

  test("has Lambda's older shapes for who uses the Logs API", async () => {
    const watcher = subscriber("HTTP", "/2020-08-15/logs", "2021-03-18", ["platform", "function"]);
    await using booted = await boot(host, { bootstrap: echoing, "extensions/watcher": watcher });
    await booted.init();
    await booted.invoke({});
    await booted.printedLike(/told .+platform\.report/);
    const types = telemetryOf(booted).map(({ type }) => type);
    // The bootstrap's line: it is started beside the extension that subscribes.
    expect(types).toContain("function");
    expect(types.filter((type) => type !== "function")).toEqual([
      "platform.logsSubscription",
      "platform.extension",
      "platform.start",
      "platform.runtimeDone",
      "platform.end",
      "platform.report",
    ]);
  });
});

test("what a bootstrap printed before it answered comes before its answer", async () => {
  await using booted = await boot(host, { bootstrap: echoing });
  await booted.init();
  for (let round = 1; round <= 20; round++) {
    await booted.invoke({ print: `${"line\n".repeat(999)}line` });
    expect(booted.printed().match(/^line$/gm)).toHaveLength(1000 * round);
  }
});

describe("a subscription", () => {
  const good = {
    schemaVersion: "2022-12-13",
    types: ["platform"],
    destination: { protocol: "HTTP", URI: "http://sandbox.localdomain:8080/logs" },
  };
  const registered = async (api: Api) => {
    const headers = { "lambda-extension-name": "inside" };
    const answer = await api.post("/2020-01-01/extension/register", { body: '{"events":[]}', headers });
    return { "lambda-extension-identifier": String(answer.headers["lambda-extension-identifier"]) };
  };
  const put = (api: Api, headers: Record<string, string>, body: unknown, path = "/2022-07-01/telemetry") =>
    api.put(path, { body: typeof body === "string" ? body : JSON.stringify(body), headers });

  test("that is no good is refused with what is wrong", async () => {
    const { api } = await Api.start();
    await using _ = api;
    const id = await registered(api);
    for (const [change, what] of [
      [{ schemaVersion: "1999-01-01" }, /schemaVersion/],
      [{ types: [] }, /types/],
      [{ types: ["gossip"] }, /types/],
      [{ destination: { protocol: "UDP" } }, /protocol/],
      [{ destination: { protocol: "HTTP", URI: "http://example.com:80" } }, /sandbox\.localdomain/],
      [{ destination: { protocol: "HTTP", URI: "file:///etc/passwd" } }, /sandbox\.localdomain/],
      [{ destination: { protocol: "TCP", port: 70_000 } }, /port/],
      [{ buffering: { maxItems: 1 } }, /maxItems/],
      [{ buffering: { maxBytes: 2_000_000 } }, /maxBytes/],
      [{ buffering: { timeoutMs: 1.5 } }, /timeoutMs/],
    ] as const) {
      const refused = await put(api, id, { ...good, ...change });
      expect(refusal(refused)).toEqual({ status: 400, errorType: "ValidationError" });
      expect(JSON.parse(refused.body).errorMessage).toMatch(what);
    }
    expect(refusal(await put(api, id, "no JSON")).errorType).toBe("ValidationError");
    expect(await put(api, id, good)).toMatchObject({ status: 200, body: "OK" });
  });

  test("comes too late once the sandbox is initialised", async () => {
    const { ready, api } = await Api.start();
    await using _ = api;
    const id = await registered(api);
    for (const wait of [api.next(), api.get("/2020-01-01/extension/event/next", id)]) wait.catch(() => {});
    await ready;
    for (const [path, errorType] of [
      ["/2022-07-01/telemetry", "Telemetry.SubscriptionClosed"],
      ["/2020-08-15/logs", "Logs.SubscriptionClosed"],
    ] as const) {
      expect(refusal(await put(api, id, good, path))).toEqual({ status: 403, errorType });
    }
  });
});
