/** Attacks on the Runtime API by a runtime of the function's own: another's, out of turn, malformed, endless. */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Attacked, startAttacked, underEachDriver } from "./attacked.ts";

/** A client that does as it is told by the event; what it saw is its answer. */
const CLIENT = `
const http = require("node:http");
const net = require("node:net");
const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const base = "/2018-06-01/runtime";
const call = (method, path, body, headers = {}) => new Promise((tell) => {
  const request = http.request({ host, port, method, path, headers }, (response) => {
    const chunks = [];
    response.on("data", (chunk) => chunks.push(chunk)).on("end", () => tell({ status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks).toString() }));
  });
  request.on("error", (error) => tell({ status: error.code }));
  request.end(body);
});
const raw = (text, ms = 300) => new Promise((tell) => {
  const socket = net.connect(port, host, () => socket.write(text));
  let heard = "";
  socket.on("data", (data) => { heard += data; }).on("error", () => {}).on("close", () => tell(heard.split("\\r\\n")[0]));
  setTimeout(() => socket.destroy(), ms);
});
const answer = (id, value) => call("POST", base + "/invocation/" + id + "/response", JSON.stringify(value));
const attacks = {
  async "wrong ids"(id) {
    const ids = ["none", id + "x", "..%2f..%2fnext", "%ff", id.toUpperCase() + "%00", "00000000-0000-0000-0000-000000000000"];
    return Promise.all(ids.map(async (each) => (await answer(each, "forged")).status));
  },
  async "out of turn"() {
    return [(await call("GET", base + "/invocation/next")).status, (await call("POST", base + "/init/error", "{}")).status, (await call("POST", base + "/invocation/x/response", "{}")).status];
  },
  async malformed(id) {
    const path = base + "/invocation/" + id + "/response";
    return Promise.all([
      raw("NONSENSE\\r\\n\\r\\n"),
      raw("POST " + path + " HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 5\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n0\\r\\n\\r\\nGET / HTTP/1.1\\r\\n\\r\\n"),
      raw("GET / HTTP/1.1\\r\\nX: " + "y".repeat(300000) + "\\r\\n\\r\\n"),
      raw("POST /" + "z".repeat(300000) + " HTTP/1.1\\r\\n\\r\\n"),
      raw("\\0".repeat(1000)),
    ]);
  },
  async others() {
    const seen = await Promise.all(["127.0.0.2", "169.254.100.1", "10.0.0.1", "::1"].map((each) => new Promise((tell) => {
      http.get({ host: each, port, path: "/2018-06-01/ping" }, (response) => tell(response.statusCode)).on("error", (error) => tell(error.code));
    })));
    const ports = [];
    for (let each = 9000; each < 9100; each++) await new Promise((next) => net.connect(each, "127.0.0.1", function () { ports.push(each); this.destroy(); next(); }).on("error", next));
    return { seen, ports: ports.filter((each) => String(each) !== port) };
  },
};
(async () => {
  for (;;) {
    const next = await call("GET", base + "/invocation/next");
    // What was cut short may still be under way.
    if (next.status !== 200) { await new Promise((later) => setTimeout(later, 10)); continue; }
    const id = next.headers["lambda-runtime-aws-request-id"];
    const { attack } = JSON.parse(next.body);
    if (attack === "twice") {
      const statuses = [await answer(id, "first"), await answer(id, "second"), await call("POST", base + "/invocation/" + id + "/error", "{}")].map(({ status }) => status);
      global.statuses = statuses;
    } else if (attack === "statuses") await answer(id, global.statuses);
    else if (attack === "oversize") { const { status } = await call("POST", base + "/invocation/" + id + "/response", Buffer.alloc(6291557, "x")); global.statuses = [status]; }
    else if (attack === "endless") { const request = http.request({ host, port, method: "POST", path: base + "/invocation/" + id + "/response" }); request.on("error", () => {}); const pump = () => { request.write(Buffer.alloc(1 << 20)); setTimeout(pump, 10); }; pump(); await new Promise(() => {}); }
    else if (attack === "slow") { const request = http.request({ host, port, method: "POST", path: base + "/invocation/" + id + "/response", headers: { "Content-Length": 100 } }); request.on("error", () => {}); setInterval(() => request.write("x"), 500); await new Promise(() => {}); }
    else if (attack === "truncated") { await raw("POST " + base + "/invocation/" + id + "/response HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 100\\r\\n\\r\\nshort", 100); }
    else if (attack === "kill the host") { for (const name of require("node:fs").readdirSync("/proc")) if (/^\\d+$/.test(name) && name !== String(process.pid)) try { process.kill(Number(name), "SIGKILL"); } catch {} await new Promise(() => {}); }
    else if (attack === "hoard") { const sockets = []; for (let n = 0; n < 900; n++) sockets.push(net.connect(port, host).on("error", () => {})); await new Promise((later) => setTimeout(later, 200)); for (const each of sockets) each.destroy(); await answer(id, "hoarded"); }
    else await answer(id, await attacks[attack](id));
  }
})();
`;

underEachDriver("under %s, a runtime that abuses the Runtime API", (driver) => {
  let attacked: Attacked;
  let fn: string;
  beforeAll(async () => {
    attacked = await startAttacked({ MAYFLY_SANDBOX: driver });
    fn = await attacked.bootstrap(CLIENT, { timeout: 2 });
  });
  afterAll(() => attacked?.[Symbol.asyncDispose]());
  afterEach(() => attacked.isUnharmed());

  const value = async (attack: string) => (await attacked.invoke(fn, { attack })).value;
  const errorType = async (attack: string) => (await attacked.invoke(fn, { attack })).error?.errorType;

  test("with request ids that don't run is refused each time", async () => {
    expect(await value("wrong ids")).toEqual(Array(6).fill(400));
  });

  test("by calls out of turn is refused, and its invocation goes on", async () => {
    expect(await value("out of turn")).toEqual([403, 403, 400]);
  });

  test("by answering twice is heard once", async () => {
    expect(await value("twice")).toBe("first");
    expect(await value("statuses")).toEqual([202, 403, 403]);
  });

  test("by malformed HTTP, smuggled requests and headers without end gets client errors", async () => {
    const lines = (await value("malformed")) as string[] | undefined;
    // The smuggled one may have been taken for an answer: then it is this invocation's own.
    if (lines !== undefined) for (const line of lines) expect(line).toMatch(/^(HTTP\/1\.1 4\d\d .*)?$/);
  });

  test("finds no other sandbox's, on any address or port", async () => {
    const other = await attacked.bootstrap(CLIENT, { timeout: 3 });
    const slow = attacked.invoke(other, { attack: "slow" });
    expect(await value("others")).toMatchObject({ ports: [] });
    const { seen } = (await value("others")) as { seen: unknown[] };
    expect(seen).not.toContain(200);
    expect((await slow).error?.errorType).toBe("Sandbox.Timedout");
  });

  test("by an answer that is too large is told so, as is the caller", async () => {
    expect(await errorType("oversize")).toBe("Function.ResponseSizeTooLarge");
    expect(await value("statuses")).toEqual([413]);
  });

  test("by an answer cut short is told so", async () => {
    expect(await errorType("truncated")).toBe("Runtime.TruncatedResponse");
  });

  test.each(["endless", "slow"])("by an answer that is %s meets its time-out", async (attack) => {
    expect(await errorType(attack)).toBe("Sandbox.Timedout");
  });

  test("by a hoard of connections reaches only its own host process", async () => {
    const { value: hoarded, error } = await attacked.invoke(fn, { attack: "hoard" });
    expect(hoarded ?? error?.errorType).toMatch(/^(hoarded|Runtime\.ExitError|Sandbox\.Timedout)$/);
  });

  test("by killing what serves it ends its own sandbox, and the next call is served", async () => {
    // The next call begins it anew within its own time, however busy the machine is.
    const slow = await attacked.bootstrap(CLIENT, { timeout: 20 });
    const { error } = await attacked.invoke(slow, { attack: "kill the host" });
    expect(error?.errorType).toBe("Runtime.ExitError");
    expect((await attacked.invoke(slow, { attack: "wrong ids" })).value).toEqual(Array(6).fill(400));
  });
});
