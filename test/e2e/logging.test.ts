/** LogFormat JSON end to end: what `mayfly config set` says, what the log and its tail then hold. */
import type { Msg, NatsConnection } from "nats";
import { headers } from "nats";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { findPython } from "../../actors/sandbox/runtimes/python-interpreter.ts";
import { Log } from "../../subjects/logs.ts";
import { deploy } from "../support/functions.ts";
import { type RunningSystem, startMayfly } from "../support/system.ts";
import { lackingIf, testUnless } from "../support/unless.ts";

const pythons = ["python3.14", "python3.13", "python3.12", "python3.11", "python3.10", "python3.9"];

let system: RunningSystem;
let nats: NatsConnection;
let platform: NatsConnection;

beforeAll(async () => {
  system = await startMayfly();
  [nats, platform] = [await system.connect(), await system.connect("platform")];
});
afterAll(async () => {
  await system?.[Symbol.asyncDispose]();
});

async function invoke(fn: string, event: object = {}): Promise<Msg> {
  const asked = headers();
  asked.set("X-Amz-Log-Type", "Tail");
  return nats.request(`mayfly.invoke.${fn}`, JSON.stringify(event), { timeout: 60_000, headers: asked });
}

const tailOf = (reply: Msg): string[] =>
  Buffer.from(reply.headers?.get("X-Amz-Log-Result") ?? "", "base64")
    .toString()
    .trimEnd()
    .split("\n");
const parsed = (lines: readonly string[]): unknown[] => lines.map((line) => JSON.parse(line));

test("a Node.js function's log is JSON when it is told to be, from the levels it is told", async () => {
  const files = {
    "index.mjs": `export const handler = async (event) => {
      console.debug("quiet");
      console.info({ user: 7 });
      console.warn("careful");
      process.stdout.write(JSON.stringify({ level: "error", mine: true }) + "\\n" + "plain\\n");
      if (event.fail) throw new RangeError("far");
    };`,
  };
  await deploy(platform, { name: "told", files });
  // What is printed past the client has a way of its own: it may come after the answer.
  const heard: string[] = [];
  const printed = JSON.stringify({ level: "error", mine: true });
  const times = (line: string) => heard.filter((each) => each === line).length;
  platform.subscribe(Log.subject({ fn: "told" }), { callback: (_, message) => void heard.push(message.string()) });
  expect(tailOf(await invoke("told"))[0]).toMatch(/^START RequestId: /);

  const json = await system.mayfly("config", "set", "told", "log-format=json", "log-level=trace");
  expect(json).toMatchObject({ code: 0 });
  expect((await system.mayfly("show", "told")).stdout).toMatch(/^logs +JSON, from TRACE, the platform's from INFO$/m);
  const reply = await invoke("told");
  const requestId = reply.headers?.get("X-Amzn-RequestId");
  const lines = parsed(tailOf(reply).filter((line) => line !== "plain"));
  expect(lines[0]).toMatchObject({ type: "platform.start", record: { requestId, version: "$LATEST" } });
  expect(lines.at(-1)).toMatchObject({
    type: "platform.report",
    record: { requestId, status: "success", metrics: { memorySizeMB: 128, initDurationMs: expect.any(Number) } },
  });
  expect(lines).toEqual(
    expect.arrayContaining([
      { timestamp: expect.stringMatching(/Z$/), level: "DEBUG", requestId, message: "quiet" },
      { timestamp: expect.any(String), level: "INFO", requestId, message: { user: 7 } },
      { timestamp: expect.any(String), level: "WARN", requestId, message: "careful" },
    ]),
  );
  await vi.waitUntil(() => times(printed) === 2 && times("plain") === 2);

  await system.mayfly("config", "set", "told", "log-level=error", "system-log-level=warn");
  expect(tailOf(await invoke("told")).filter((line) => line !== printed && line !== "")).toEqual([]);
  await vi.waitUntil(() => times(printed) === 3);
  const failed = parsed(tailOf(await invoke("told", { fail: true }))) as Array<{ message?: { errorType: string } }>;
  expect(failed.at(-1)).toMatchObject({
    type: "platform.report",
    record: { status: "error", errorType: "Runtime.Unknown" },
  });
  expect(failed.find(({ message }) => message !== undefined)?.message).toMatchObject({
    errorType: "RangeError",
    errorMessage: "far",
  });

  await vi.waitUntil(() => times(printed) === 4);
  expect(times("plain")).toBe(2);

  expect(await system.mayfly("config", "unset", "told", "log-format")).toMatchObject({ code: 0 });
  // A front end hears of it a moment later.
  await expect.poll(async () => tailOf(await invoke("told"))[0]).toMatch(/^START RequestId: /);
  expect(await system.mayfly("config", "set", "told", "log-level=debug")).toMatchObject({
    code: 3,
    stderr: expect.stringContaining("when LogFormat is JSON"),
  });
  expect(await system.mayfly("config", "set", "told", "log-format=xml")).toMatchObject({ code: 2 });
});

describe("Python", async () => {
  const found = await Promise.all(pythons.map((runtime) => findPython(runtime, "/nowhere")));
  const runtime = pythons[found.findIndex((each) => each !== null && each !== undefined)] ?? "";

  testUnless(lackingIf(runtime === "", "no Python is installed here"))(
    "logs JSON through logging, with the same levels",
    async () => {
      const files = {
        "index.py": `
import logging, os
def handler(event, context):
    logging.debug("quiet")
    logging.warning("careful", extra={"cart": 3})
    return [os.environ["AWS_LAMBDA_LOG_FORMAT"], os.environ["AWS_LAMBDA_LOG_LEVEL"]]
`,
      };
      await deploy(platform, { name: "pylog", files, runtime });
      await system.mayfly("config", "set", "pylog", "log-format=json", "log-level=debug", "system-log-level=debug");
      const reply = await invoke("pylog");
      const requestId = reply.headers?.get("X-Amzn-RequestId");
      expect(reply.json()).toEqual(["JSON", "DEBUG"]);
      expect(parsed(tailOf(reply))).toMatchObject([
        { type: "platform.start" },
        { level: "DEBUG", message: "quiet", requestId, logger: "root" },
        { level: "WARNING", message: "careful", requestId, cart: 3 },
        { type: "platform.runtimeDone", record: { status: "success" } },
        { type: "platform.report" },
      ]);
    },
  );
});
