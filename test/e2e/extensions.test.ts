/** Extensions from layers in real sandboxes: beside a runtime of ours and a bootstrap, to the end of their sandbox. */
import { headers, type Msg, type NatsConnection } from "nats";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { Log, linesIn } from "../../subjects/logs.ts";
import { api, configure, deploy, type FunctionPlan } from "../support/functions.ts";
import { type RunningSystem, startMayfly } from "../support/system.ts";
import { zipOf } from "../support/zip.ts";

/** Says what it is told; asks for telemetry, which comes by the sandbox's own name; holds an invocation when told to. */
const WATCHER = `#!/var/lang/bin/node
const http = require("node:http");
const fs = require("node:fs");
const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const call = (method, path, headers, body) => new Promise((resolve) => {
  const sent = http.request({ host, port, method, path, headers }, (response) => {
    const chunks = [];
    response.on("data", (chunk) => chunks.push(chunk)).on("end", () => resolve({ headers: response.headers, text: Buffer.concat(chunks).toString() }));
  });
  sent.end(body);
});
http.createServer((request, response) => {
  let text = "";
  request.on("data", (chunk) => { text += chunk; }).on("end", () => {
    for (const { type, record } of JSON.parse(text)) console.log("telemetry " + type + " " + JSON.stringify(record));
    response.end();
  });
}).listen(8080, "sandbox.localdomain", async () => {
  const name = { "Lambda-Extension-Name": "watcher" };
  const { headers } = await call("POST", "/2020-01-01/extension/register", name, '{"events":["INVOKE","SHUTDOWN"]}');
  const id = { "Lambda-Extension-Identifier": headers["lambda-extension-identifier"] };
  await call("PUT", "/2022-07-01/telemetry", id, JSON.stringify({ schemaVersion: "2022-12-13", types: ["platform", "function"],
    destination: { protocol: "HTTP", URI: "http://sandbox.localdomain:8080" }, buffering: { timeoutMs: 25 } }));
  for (;;) {
    const event = JSON.parse((await call("GET", "/2020-01-01/extension/event/next", id)).text);
    console.log("watcher " + event.eventType + " " + (event.shutdownReason ?? ""));
    if (event.eventType === "SHUTDOWN") process.exit(0);
    if (process.env.HOLDS) {
      while (!fs.existsSync("/tmp/release")) await new Promise((resolve) => setTimeout(resolve, 10));
      console.log("watcher released");
    }
  }
});
`;

const WATCHED = {
  "index.js": `
const fs = require("node:fs");
let calls = 0;
exports.handler = async (event) => {
  calls += 1;
  if (event.write) fs.writeFileSync("/tmp/" + event.write, "");
  if (event.releaseLater) setTimeout(() => fs.writeFileSync("/tmp/release", ""), 1500);
  if (event.say) console.log(event.say);
  if (event.hang) await new Promise((resolve) => setTimeout(resolve, 60_000));
  if (event.exit !== undefined) process.exit(event.exit);
  return { calls, kept: fs.readdirSync("/tmp") };
};`,
};

let system: RunningSystem;
let nats: NatsConnection;
let platform: NatsConnection;
let layer: string;
const heard = new Map<string, string[]>();
const linesOf = (fn: string) => heard.get(fn) ?? [];
const line = (fn: string, pattern: RegExp) =>
  vi.waitFor(() => expect(linesOf(fn).find((each) => pattern.test(each))).toBeDefined(), { timeout: 15_000 });

beforeAll(async () => {
  system = await startMayfly();
  [nats, platform] = [await system.connect(), await system.connect("platform")];
  platform.subscribe(Log.subject({}), {
    callback: (_, message) => {
      const { fn = "" } = Log.address(message.subject);
      heard.set(fn, [...linesOf(fn), ...linesIn(message.string())]);
    },
  });
  const files = { "extensions/watcher": WATCHER };
  const Content = { ZipFile: (await zipOf(files)).toString("base64") };
  const published = await api(platform, "PublishLayerVersion", { LayerName: "watching", Content });
  layer = String(published.LayerVersionArn);
});
afterAll(async () => {
  await system?.[Symbol.asyncDispose]();
});

const invoke = (fn: string, event: object = {}): Promise<Msg> =>
  nats.request(`mayfly.invoke.${fn}`, JSON.stringify(event), { timeout: 60_000 });
const watched = (plan: Partial<FunctionPlan> & { name: string }) =>
  deploy(platform, { files: WATCHED, memory: 256, layers: [layer], ...plan });

describe("an extension of a layer", () => {
  test("is told of invocations and gets telemetry, beside a runtime of ours", async () => {
    await watched({ name: "seen" });
    expect((await invoke("seen", { say: "first words" })).json()).toEqual({ calls: 1, kept: [] });
    await line("seen", /^watcher INVOKE/);
    await line("seen", /^telemetry function ".*first words/);
    await line("seen", /^telemetry platform\.report .*"status":"success"/);
    expect((await invoke("seen")).headers?.get("Mayfly-Start")).toBe("warm");
  });

  test("doesn't keep the caller waiting, only the next one", async () => {
    await watched({ name: "held", timeout: 20, environment: { HOLDS: "yes" } });
    const first = await invoke("held", { releaseLater: true });
    expect(first.json()).toMatchObject({ calls: 1 });
    expect(linesOf("held")).not.toContain("watcher released");
    await line("held", /^watcher released/);
    await line("held", /^REPORT/);
    expect((await invoke("held")).json()).toMatchObject({ calls: 2 });
  });

  test("takes its time of the invocation's, as the report says, which is the same in the end of the log", async () => {
    await watched({ name: "reported", timeout: 20, environment: { HOLDS: "yes" } });
    const asked = headers();
    asked.set("X-Amz-Log-Type", "Tail");
    const payload = JSON.stringify({ releaseLater: true });
    const reply = await nats.request("mayfly.invoke.reported", payload, { timeout: 60_000, headers: asked });
    await line("reported", /^REPORT/);
    const tail = Buffer.from(reply.headers?.get("X-Amz-Log-Result") ?? "", "base64")
      .toString()
      .split("\n");
    const report = tail.find((each) => each.startsWith("REPORT"));
    expect(linesOf("reported")).toContain(report);
    expect(Number(/Duration: (\S+) ms/.exec(report ?? "")?.[1])).toBeGreaterThan(1000);
  });

  test("is told of a timeout; /tmp is kept and memory is lost", async () => {
    await watched({ name: "late", timeout: 3 });
    const reply = await invoke("late", { hang: true, write: "kept" });
    expect(reply.json()).toMatchObject({ errorType: "Sandbox.Timedout" });
    await line("late", /^watcher SHUTDOWN timeout/);
    await line("late", /^REPORT .*Status: timeout/);
    const next = await invoke("late");
    expect([next.json(), next.headers?.get("Mayfly-Start")]).toEqual([{ calls: 1, kept: ["kept"] }, "cold"]);
    await line("late", /^telemetry platform\.initStart .*"phase":"invoke"/);
  });

  test("is told of a crash, and the caller before it", async () => {
    await watched({ name: "fallen" });
    const reply = await invoke("fallen", { exit: 3 });
    expect(reply.json()).toMatchObject({
      errorType: "Runtime.ExitError",
      errorMessage: expect.stringMatching(/Runtime exited with error: exit status 3$/),
    });
    await line("fallen", /^watcher SHUTDOWN failure/);
    expect((await invoke("fallen")).json()).toMatchObject({ calls: 1 });
  });

  test("is told when its sandbox isn't needed any more", async () => {
    await watched({ name: "left" });
    await invoke("left");
    await configure(platform, "left", { Timeout: 4 });
    await invoke("left");
    await line("left", /^watcher SHUTDOWN spindown/);
  });

  test("that leaves while it begins fails the function by name", async () => {
    const files = { "extensions/leaver": "#!/bin/sh\nexit 0\n" };
    const Content = { ZipFile: (await zipOf(files)).toString("base64") };
    const { LayerVersionArn } = await api(platform, "PublishLayerVersion", { LayerName: "leaving", Content });
    await watched({ name: "broken", layers: [String(LayerVersionArn)] });
    expect((await invoke("broken")).json()).toMatchObject({ errorType: "Extension.Crash" });
  });
});

describe("AWS_LAMBDA_EXEC_WRAPPER", () => {
  test("starts the runtime", async () => {
    const files = {
      "index.js": "exports.handler = async () => process.env.WRAPPED;",
      wrap: '#!/bin/sh\nexport WRAPPED=yes\nexec "$@"\n',
    };
    await deploy(platform, { name: "wrapped", files, environment: { AWS_LAMBDA_EXEC_WRAPPER: "/var/task/wrap" } });
    expect((await invoke("wrapped")).json()).toBe("yes");
  });

  test("that isn't there is told as Lambda tells it", async () => {
    const environment = { AWS_LAMBDA_EXEC_WRAPPER: "/opt/nothing" };
    await deploy(platform, { name: "bare", files: { "index.js": "exports.handler = async () => 1;" }, environment });
    expect((await invoke("bare")).json()).toMatchObject({
      errorType: "Runtime.ExitError",
      errorMessage: expect.stringMatching(/Runtime exited with error: exit status 127$/),
    });
  });
});
