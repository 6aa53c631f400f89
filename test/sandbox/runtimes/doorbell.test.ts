/** What our own runtimes do about code of the function that turns to Lambda's APIs itself: they say so to the worker. */
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { describe, expect, test } from "vitest";
import { bodyOf, boot, nodeBootstrap, pythonBootstrap } from "./booted.ts";

const node = (init: string) => ({
  "index.mjs": `
import net from "node:net";
const [host, port] = (process.env.AWS_LAMBDA_RUNTIME_API ?? "").split(":");
const connected = () => new Promise((resolve) => {
  const socket = net.connect(port, host, () => resolve("connected"));
  socket.on("error", ({ code }) => resolve(code));
});
${init}
export const handler = async () => ({ port: Number(port), outcome: await connected() });`,
});
const python = (init: string) => ({
  "index.py": `
import errno, logging, os, socket, subprocess, sys, threading
socket.setdefaulttimeout(0.2)
host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
def connected():
    try:
        return socket.create_connection((host, port))
    except OSError as error:
        return errno.errorcode[error.errno]
${init}
def handler(event, context):
    return {"port": int(port), "outcome": connected()}
`,
});

const cases = [
  {
    language: "Node.js",
    command: nodeBootstrap,
    files: node,
    twice: "await connected(); await connected();",
    asks: {
      "and waits for the answer": "await connected(); await new Promise(() => setInterval(() => {}, 1000));",
      "and doesn't wait": "connected();",
      "from another process": `
        import { spawn } from "node:child_process";
        const child = 'require("node:net").connect(' + port + ', "' + host + '")';
        spawn(process.execPath, ["-e", child]); await new Promise(() => setInterval(() => {}, 1000));`,
    },
  },
  {
    language: "Python",
    command: pythonBootstrap,
    files: python,
    twice: "connections = [connected(), connected()]",
    asks: {
      "and waits for the answer": "try: connected().recv(1)\nexcept TimeoutError: pass",
      "and doesn't wait": "connection = connected()",
      "from another thread, while it writes its log": `
thread = threading.Thread(target=connected)
thread.start()
while thread.is_alive(): logging.warning("x" * 1000)`,
      "from another process": `
code = "import socket; socket.create_connection(('%s', %s))" % (host, port)
subprocess.run([sys.executable, "-c", code])`,
    },
  },
] as const;

describe.each(cases)("$language code", ({ command, files, asks, twice }) => {
  test.each(Object.entries(asks))("that asks while it initialises, %s, is told of", async (_, init) => {
    await using booted = await boot(command, files(init));
    expect(await booted.init()).toEqual({ type: "hostWanted" });
  });

  test("that asks twice is told of once", async () => {
    await using booted = await boot(command, files(twice));
    expect(await booted.init()).toEqual({ type: "hostWanted" });
    expect(await booted.next()).toMatchObject({ type: "ready" });
  });

  test("that doesn't ask is ready, and finds nobody there afterwards", async () => {
    await using booted = await boot(command, files(""));
    expect(await booted.init()).toMatchObject({ type: "ready" });
    const answer = bodyOf(await booted.invoke({})) as { port: number; outcome: string };
    expect(answer).toEqual({ port: expect.any(Number), outcome: "ECONNREFUSED" });
    expect(answer.port).toBeGreaterThan(0);
  });

  test("is loaded all the same where the address is another's", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const runtimeApi = `127.0.0.1:${(other.address() as AddressInfo).port}`;
    await using booted = await boot(command, files(""));
    expect(await booted.init({ runtimeApi, env: { AWS_LAMBDA_RUNTIME_API: runtimeApi } })).toMatchObject({
      type: "ready",
    });
    other.close();
  });
});
