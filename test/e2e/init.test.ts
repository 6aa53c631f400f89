/** Inits that fail end to end: tried again inside the first invocation, with /tmp kept, and told of in Lambda's lines. */
import type { Msg, NatsConnection } from "nats";
import { headers } from "nats";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { Log, linesIn } from "../../subjects/logs.ts";
import { configure, deploy, type FunctionPlan } from "../support/functions.ts";
import { type RunningSystem, startMayfly } from "../support/system.ts";

/** Its init does as told by what an earlier one left in /tmp. */
const inits = (body: string) => ({
  "index.js": `
const fs = require("node:fs");
fs.appendFileSync("/tmp/inits", "x");
const nth = fs.readFileSync("/tmp/inits", "utf8").length;
console.log("init " + nth);
${body}
exports.handler = async (event) => {
  console.log("handled " + nth);
  return { nth };
};`,
});

let system: RunningSystem;
let nats: NatsConnection;
let platform: NatsConnection;
const heard = new Map<string, string[]>();

beforeAll(async () => {
  system = await startMayfly({ env: { MAYFLY_INIT_TIMEOUT: "1500" } });
  [nats, platform] = [await system.connect(), await system.connect("platform")];
  platform.subscribe(Log.subject({}), {
    callback: (_, message) => {
      const { fn = "" } = Log.address(message.subject);
      heard.set(fn, [...(heard.get(fn) ?? []), ...linesIn(message.string())]);
    },
  });
});
afterAll(async () => {
  await system?.[Symbol.asyncDispose]();
});

async function invoke(fn: string): Promise<Msg> {
  const asked = headers();
  asked.set("X-Amz-Log-Type", "Tail");
  return nats.request(`mayfly.invoke.${fn}`, "{}", { timeout: 60_000, headers: asked });
}
const tailOf = (reply: Msg): string[] =>
  Buffer.from(reply.headers?.get("X-Amz-Log-Result") ?? "", "base64")
    .toString()
    .split("\n")
    .slice(0, -1);
/** A message without its time, by which lines can be compared. */
const untimed = (line: string) => line.replace(/^\S+Z\t\S+\t(INFO|ERROR)\t/, "$1 ").replace(/[\d.]+ (ms|MB)/g, "N $1");
const ends = async (fn: string, pattern = /^REPORT /) => {
  await vi.waitFor(() => expect(heard.get(fn)?.some((line) => pattern.test(line))).toBe(true), { timeout: 10_000 });
  return (heard.get(fn) ?? []).map(untimed);
};
const fn = (plan: Partial<FunctionPlan> & { name: string }, body: string) =>
  deploy(platform, { files: inits(body), timeout: 5, ...plan });

describe("an init that fails", () => {
  test("is run again in the first invocation, and goes well then: the caller notices nothing but the time", async () => {
    await fn({ name: "second" }, "if (nth === 1) throw new TypeError('not yet');");
    const reply = await invoke("second");
    expect([reply.headers?.get("X-Amz-Function-Error"), reply.json()]).toEqual(["", { nth: 2 }]);
    const id = reply.headers?.get("X-Amzn-RequestId");
    const lines = await ends("second");
    expect(lines.map((line) => line.split("{")[0])).toEqual([
      expect.stringMatching(/^INIT_START Runtime Version: nodejs:24\.\d+\.\d+$/),
      "INFO init 1",
      expect.stringMatching(/^ERROR Init Error/),
      "INIT_REPORT Init Duration: N ms\tPhase: init\tStatus: error\tError Type: Runtime.Unknown",
      "INFO init 2",
      `START RequestId: ${id} Version: $LATEST`,
      "INFO handled 2",
      `END RequestId: ${id}`,
      expect.stringMatching(/^REPORT (?!.*Init Duration)/),
    ]);
    expect(tailOf(reply).map(untimed)).toEqual(lines.slice(4));
    expect((await invoke("second")).headers?.get("Mayfly-Start")).toBe("warm");
  });

  test("each time is what the caller is told, in Lambda's words and with its own request", async () => {
    await fn({ name: "never" }, "process.exit(3);");
    const reply = await invoke("never");
    const id = reply.headers?.get("X-Amzn-RequestId");
    expect(reply.headers?.get("X-Amz-Function-Error")).toBe("Unhandled");
    expect(reply.json()).toEqual({
      errorType: "Runtime.ExitError",
      errorMessage: `RequestId: ${id} Error: Runtime exited with error: exit status 3`,
    });
    const report = (phase: string) =>
      `INIT_REPORT Init Duration: N ms\tPhase: ${phase}\tStatus: error\tError Type: Runtime.ExitError`;
    const lines = await ends("never");
    expect(lines.slice(1)).toEqual([
      "INFO init 1",
      report("init"),
      "INFO init 2",
      report("invoke"),
      `START RequestId: ${id} Version: $LATEST`,
      `END RequestId: ${id}`,
      expect.stringMatching(/^REPORT .*Status: error\tError Type: Runtime\.ExitError\t$/),
    ]);
    expect(tailOf(reply).map(untimed)).toEqual(lines.slice(3));
    expect((await invoke("never")).json()).toMatchObject({ errorType: "Runtime.ExitError" });
    expect((heard.get("never") ?? []).filter((line) => line.startsWith("INIT_START"))).toHaveLength(1);
  });

  test("because it takes too long has the function's own time then", async () => {
    await fn({ name: "slow" }, "if (nth === 1) while (true);");
    expect((await invoke("slow")).json()).toEqual({ nth: 2 });
    expect((await ends("slow"))[2]).toBe("INIT_REPORT Init Duration: N ms\tPhase: init\tStatus: timeout");

    await fn({ name: "endless", timeout: 1 }, "while (true);");
    const reply = await invoke("endless");
    const id = reply.headers?.get("X-Amzn-RequestId");
    expect(reply.json()).toEqual({
      errorType: "Sandbox.Timedout",
      errorMessage: `RequestId: ${id} Error: Task timed out after 1.00 seconds`,
    });
    expect((await ends("endless")).slice(-4)).toEqual([
      "INIT_REPORT Init Duration: N ms\tPhase: invoke\tStatus: timeout",
      `START RequestId: ${id} Version: $LATEST`,
      `END RequestId: ${id}`,
      expect.stringMatching(/^REPORT .*Status: timeout\t$/),
    ]);
  });

  test("by a bootstrap that says so is told as it says it", async () => {
    const bootstrap = `#!/var/lang/bin/node
require("node:fs").appendFileSync("/tmp/inits", "x");
const [hostname, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const nth = require("node:fs").readFileSync("/tmp/inits", "utf8").length;
const headers = { "Lambda-Runtime-Function-Error-Type": "Runtime.NoLuck" };
require("node:http").request({ hostname, port, method: "POST", path: "/2018-06-01/runtime/init/error", headers },
  (response) => response.resume().on("end", () => process.exit(1))).end(JSON.stringify({ errorType: "Runtime.NoLuck", errorMessage: "try " + nth }));
`;
    await deploy(platform, { name: "unlucky", files: { bootstrap }, runtime: "provided.al2023", timeout: 5 });
    const reply = await invoke("unlucky");
    expect(reply.json()).toEqual({ errorType: "Runtime.NoLuck", errorMessage: "try 2" });
    const lines = await ends("unlucky");
    expect(lines[0]).toBe("INIT_START Runtime Version: provided:al2023");
    expect(lines[1]).toBe("INIT_REPORT Init Duration: N ms\tPhase: init\tStatus: error\tError Type: Runtime.NoLuck");
  });
});

test("a function's log in JSON has the platform's events of each init", async () => {
  await fn({ name: "json" }, "if (nth === 1) throw new TypeError('not yet');");
  await configure(platform, "json", { LoggingConfig: { LogFormat: "JSON", SystemLogLevel: "DEBUG" } });
  expect((await invoke("json")).json()).toEqual({ nth: 2 });
  const lines = await ends("json", /platform\.report/);
  const events = lines.map((line) => JSON.parse(line) as { type?: string; record: object });
  const kind = { initializationType: "on-demand" };
  const durationMs = expect.any(Number);
  expect(events.filter(({ type }) => type?.startsWith("platform.")).map(({ type, record }) => [type, record])).toEqual([
    [
      "platform.initStart",
      {
        ...kind,
        phase: "init",
        runtimeVersion: expect.stringMatching(/^nodejs:24/),
        functionName: "json",
        functionVersion: "$LATEST",
        instanceMaxMemory: 128 * 1024 * 1024,
      },
    ],
    ["platform.initRuntimeDone", { ...kind, phase: "init", status: "error", errorType: "Runtime.Unknown" }],
    [
      "platform.initReport",
      { ...kind, phase: "init", status: "error", errorType: "Runtime.Unknown", metrics: { durationMs } },
    ],
    ["platform.initStart", expect.objectContaining({ ...kind, phase: "invoke" })],
    ["platform.initRuntimeDone", { ...kind, phase: "invoke", status: "success" }],
    ["platform.initReport", { ...kind, phase: "invoke", status: "success", metrics: { durationMs } }],
    ["platform.start", expect.anything()],
    ["platform.runtimeDone", expect.objectContaining({ status: "success" })],
    ["platform.report", expect.objectContaining({ status: "success" })],
  ]);
});
