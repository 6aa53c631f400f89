/** Code of a plain function that is an extension itself: it turns to Lambda's APIs while it initialises, and is heard. */
import type { Msg, NatsConnection } from "nats";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { findPython } from "../../actors/sandbox/runtimes/python-interpreter.ts";
import { Log, linesIn } from "../../subjects/logs.ts";
import { deploy } from "../support/functions.ts";
import { type RunningSystem, startMayfly } from "../support/system.ts";

const pythons = ["python3.14", "python3.13", "python3.12", "python3.11", "python3.10", "python3.9"];
const found = await Promise.all(pythons.map((runtime) => findPython(runtime, "/nowhere")));
const python = pythons[found.findIndex((each) => each !== null && each !== undefined)] ?? "";

const node = `
import http from "node:http";
console.log("loading");
const api = "http://" + process.env.AWS_LAMBDA_RUNTIME_API;
const told = [];
const telemetry = http.createServer((request, response) => {
  let text = "";
  request.on("data", (chunk) => { text += chunk; }).on("end", () => {
    told.push(...JSON.parse(text).map(({ type }) => type));
    response.end();
  });
});
await new Promise((resolve) => telemetry.listen(8080, "sandbox.localdomain", resolve));
const registered = await fetch(api + "/2020-01-01/extension/register", {
  method: "POST", headers: { "Lambda-Extension-Name": "inside" }, body: JSON.stringify({ events: ["INVOKE"] }) });
const about = await registered.json();
const headers = { "Lambda-Extension-Identifier": registered.headers.get("lambda-extension-identifier") };
await fetch(api + "/2022-07-01/telemetry", { method: "PUT", headers, body: JSON.stringify({ schemaVersion: "2022-12-13",
  types: ["platform"], destination: { protocol: "HTTP", URI: "http://sandbox.localdomain:8080" }, buffering: { timeoutMs: 25 } }) });
const events = [];
(async () => {
  for (;;) {
    const event = await (await fetch(api + "/2020-01-01/extension/event/next", { headers })).json();
    events.push(event.eventType + " " + event.requestId);
  }
})();
let calls = 0;
export const handler = async ({ wait, hold }) => {
  calls += 1;
  while (events.length < calls || (wait && !told.includes(wait))) await new Promise((resolve) => setTimeout(resolve, 5));
  if (hold) await new Promise((resolve) => setTimeout(resolve, hold));
  return { about, events, told };
};
`;

/** Its only thread waits for a program that registers, and is deaf meanwhile. */
const deaf = `
import { execFileSync } from "node:child_process";
const api = "http://" + process.env.AWS_LAMBDA_RUNTIME_API + "/2020-01-01/extension";
const register = \`fetch("\${api}/register", { method: "POST",
  headers: { "Lambda-Extension-Name": "program" }, body: JSON.stringify({ events: [] }) }).then(async (answer) =>
    console.log(JSON.stringify([answer.headers.get("lambda-extension-identifier"), await answer.json()])))\`;
const [id, about] = JSON.parse(execFileSync(process.execPath, ["-e", register], { encoding: "utf8" }));
void fetch(api + "/event/next", { headers: { "Lambda-Extension-Identifier": id } });
export const handler = async () => ({ about });
`;

const snake = `
import http.server, json, os, threading, time, urllib.request
print("loading")
api = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"]
told, events = [], []
class Telemetry(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        told.extend(each["type"] for each in json.loads(body))
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 8080), Telemetry)
threading.Thread(target=server.serve_forever, daemon=True).start()
def call(method, path, headers={}, body=None):
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(api + path, data, headers, method=method)) as answer:
        return answer.headers, answer.read()
name = {"Lambda-Extension-Name": "inside"}
headers, body = call("POST", "/2020-01-01/extension/register", name, {"events": ["INVOKE"]})
about = json.loads(body)
identity = {"Lambda-Extension-Identifier": headers["Lambda-Extension-Identifier"]}
call("PUT", "/2022-07-01/telemetry", identity, {"schemaVersion": "2022-12-13", "types": ["platform"],
     "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain:8080"}, "buffering": {"timeoutMs": 25}})
def listen():
    while True:
        event = json.loads(call("GET", "/2020-01-01/extension/event/next", identity)[1])
        events.append(event["eventType"] + " " + event["requestId"])
threading.Thread(target=listen, daemon=True).start()
calls = 0
def handler(event, context):
    global calls
    calls += 1
    while len(events) < calls or ("wait" in event and event["wait"] not in told):
        time.sleep(0.005)
    time.sleep(event.get("hold", 0) / 1000)
    return {"about": about, "events": events, "told": told}
`;

let system: RunningSystem;
let nats: NatsConnection;
let platform: NatsConnection;
/** Lines by function and sandbox. */
const heard = new Map<string, Map<string, string[]>>();

beforeAll(async () => {
  system = await startMayfly({ env: { MAYFLY_ZONES: "a" } });
  [nats, platform] = [await system.connect(), await system.connect("platform")];
  platform.subscribe(Log.subject({}), {
    callback: (_, message) => {
      const { fn = "", sandboxId = "" } = Log.address(message.subject);
      const sandboxes = heard.get(fn) ?? new Map<string, string[]>();
      heard.set(fn, sandboxes.set(sandboxId, [...(sandboxes.get(sandboxId) ?? []), ...linesIn(message.string())]));
    },
  });
});
afterAll(async () => {
  await system?.[Symbol.asyncDispose]();
});

const invoke = (fn: string, event: object = {}): Promise<Msg> =>
  nats.request(`mayfly.invoke.${fn}`, JSON.stringify(event), { timeout: 60_000 });
const idOf = (reply: Msg) => reply.headers?.get("X-Amzn-RequestId");

test.for([
  { name: "node-inside", runtime: "nodejs24.x", files: { "index.mjs": node } },
  { name: "python-inside", runtime: python, files: { "index.py": snake } },
])("$runtime", async ({ name, runtime, files }, context) => {
  if (runtime === "") return context.skip("no Python is installed here");
  await deploy(platform, { name, files, runtime, memory: 256, timeout: 20 });
  const first = await invoke(name);
  const about = { functionName: name, functionVersion: "$LATEST", handler: "index.handler" };
  expect(first.json()).toMatchObject({ about, events: [expect.stringContaining("INVOKE")] });
  const second = await invoke(name, { wait: "platform.report" });
  expect(second.headers?.get("Mayfly-Start")).toBe("warm");
  const { events, told } = second.json<{ events: string[]; told: string[] }>();
  expect(events).toEqual([first, second].map((reply) => `INVOKE ${idOf(reply)}`));
  expect(told).toEqual(
    expect.arrayContaining(["platform.initStart", "platform.initReport", "platform.runtimeDone", "platform.report"]),
  );

  // The first sandbox began anew when it was noticed; the next one of the function has a host from its beginning.
  const sandboxes = () => [...(heard.get(name)?.values() ?? [])];
  const count = (lines: readonly string[] | undefined, pattern: RegExp) =>
    lines?.filter((line) => pattern.test(line)).length;
  const long = invoke(name, { hold: 15_000 }).catch(() => {});
  await vi.waitFor(() => expect(count(sandboxes()[0], /^START/)).toBe(3));
  expect((await invoke(name)).headers?.get("Mayfly-Start")).toBe("cold");
  await vi.waitFor(() => expect(count(sandboxes()[1], /^REPORT/)).toBe(1));
  const patterns = [/loading/, /^INIT_START/, /^INIT_REPORT/, /^REPORT.*Init Duration/];
  expect(sandboxes().map((lines) => patterns.map((pattern) => count(lines, pattern)))).toEqual([
    [2, 1, 0, 1],
    [1, 1, 0, 1],
  ]);
  void long;
});

test("code that keeps its runtime's only thread until a program of its own was answered has it answered", async () => {
  await deploy(platform, { name: "deaf", files: { "index.mjs": deaf }, memory: 256, timeout: 20 });
  const about = { functionName: "deaf", functionVersion: "$LATEST", handler: "index.handler" };
  expect((await invoke("deaf")).json()).toEqual({ about });
});

test("code that registers and then never ends its init is ended as any other", async () => {
  const endless = node.replace("let calls = 0;", "console.log('registered'); while (true);");
  await deploy(platform, { name: "endless", files: { "index.mjs": endless }, memory: 256, timeout: 2 });
  const reply = await invoke("endless");
  expect(reply.json()).toEqual({
    errorType: "Sandbox.Timedout",
    errorMessage: `RequestId: ${idOf(reply)} Error: Task timed out after 2.00 seconds`,
  });
  const said = () => [...(heard.get("endless")?.values() ?? [])].flat();
  await vi.waitUntil(() => said().some((line) => line.startsWith("REPORT")));
  const lines = said();
  const inits = lines.filter((line) => line.startsWith("INIT_REPORT"));
  expect(inits.map((line) => line.replace(/[\d.]+ ms/, ""))).toEqual([
    "INIT_REPORT Init Duration: \tPhase: init\tStatus: timeout",
    "INIT_REPORT Init Duration: \tPhase: invoke\tStatus: timeout",
  ]);
  // The first began anew where it was noticed; the second had a host from its beginning.
  expect(lines.filter((line) => line.includes("loading"))).toHaveLength(3);
  expect(lines.filter((line) => line.includes("registered"))).toHaveLength(2);
});
