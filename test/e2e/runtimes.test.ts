/** Unmodified Lambda functions of every kind, in real sandboxes: Node.js, Python, a bootstrap, and code from npm. */
import { execFile } from "node:child_process";
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Msg, NatsConnection } from "nats";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findPython } from "../../actors/sandbox/runtimes/python-interpreter.ts";
import { goFunction, nodeClient, pythonClient } from "../sandbox/runtimes/aws-clients.ts";
import { deploy } from "../support/functions.ts";
import { type RunningSystem, startMayfly } from "../support/system.ts";
import { lackingIf, testUnless } from "../support/unless.ts";

const run = promisify(execFile);
const pythons = ["python3.14", "python3.13", "python3.12", "python3.11", "python3.10", "python3.9"];

let system: RunningSystem;
let nats: NatsConnection;
let platform: NatsConnection;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-test-"));
  system = await startMayfly();
  [nats, platform] = [await system.connect(), await system.connect("platform")];
});
afterAll(async () => {
  await system?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const invoke = (fn: string, event: object): Promise<Msg> =>
  nats.request(`mayfly.invoke.${fn}`, JSON.stringify(event), { timeout: 60_000 });

describe("Node.js", () => {
  test("CommonJS and ES modules, by extension and by package.json", async () => {
    const cases: Record<string, Record<string, string>> = {
      "as-mjs": { "index.mjs": "export const handler = async () => 'mjs';" },
      "as-cjs": { "index.js": "exports.handler = async () => 'cjs';" },
      "as-type": { "index.js": "export const handler = async () => 'type';", "package.json": '{"type":"module"}' },
    };
    for (const [name, files] of Object.entries(cases)) {
      await deploy(platform, { name, files });
      expect((await invoke(name, {})).json()).toBe(name.slice(3));
    }
  });

  test("an Express application from npm, through the adapter that its users run on AWS, untouched", async () => {
    const app = join(folder, "express");
    await mkdir(app);
    await writeFile(join(app, "package.json"), '{"private":true}');
    const quiet = ["--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"];
    await run("npm", ["install", ...quiet, "--prefix", app, "express@5", "@vendia/serverless-express@4"], { cwd: app });
    await writeFile(
      join(app, "index.js"),
      `const express = require("express");
       const app = express();
       app.get("/greet/:name", (request, response) => response.json({ hello: request.params.name, query: request.query }));
       exports.handler = require("@vendia/serverless-express")({ app });`,
    );
    const deployed = await system.mayfly("deploy", app, "--name", "express", "--memory", "256");
    expect(deployed).toMatchObject({ code: 0 });
    const answer = await invoke("express", {
      version: "2.0",
      routeKey: "$default",
      rawPath: "/greet/Ada",
      rawQueryString: "x=1",
      headers: { host: "example.com" },
      requestContext: { http: { method: "GET", path: "/greet/Ada", sourceIp: "127.0.0.1" } },
      isBase64Encoded: false,
    });
    const { statusCode, body } = answer.json<{ statusCode: number; body: string }>();
    expect([statusCode, JSON.parse(body)]).toEqual([200, { hello: "Ada", query: { x: "1" } }]);
  });
});

describe("Python", async () => {
  const found = await Promise.all(pythons.map((runtime) => findPython(runtime, "/nowhere")));
  const runtime = pythons[found.findIndex((each) => each !== null && each !== undefined)];

  testUnless(lackingIf(runtime === undefined, "no Python is installed here"))(
    "of the host: handler, context, print and errors",
    async () => {
      const files = {
        "lambda_function.py": `
import os
def handler(event, context):
    print("greeting", event.get("name"))
    if event.get("fail"):
        raise ValueError("no")
    return {"hello": event["name"], "fn": context.function_name, "left": context.get_remaining_time_in_millis() > 0, "env": os.environ["AWS_EXECUTION_ENV"]}
`,
      };
      await deploy(platform, { name: "snake", files, runtime: runtime ?? "", handler: "lambda_function.handler" });
      expect((await invoke("snake", { name: "Ada" })).json()).toEqual({
        hello: "Ada",
        fn: "snake",
        left: true,
        env: `AWS_Lambda_${runtime}`,
      });
      const failed = await invoke("snake", { name: "Ada", fail: true });
      expect(failed.headers?.get("X-Amz-Function-Error")).toBe("Unhandled");
      expect(failed.json()).toMatchObject({
        errorType: "ValueError",
        errorMessage: "no",
        stackTrace: expect.any(Array),
      });
    },
  );
});

describe("provided.al2023", () => {
  const bootstrap = { runtime: "provided.al2023", handler: "main", timeout: 20 } as const;

  test("a bootstrap that speaks the Runtime API", async () => {
    const example = join(import.meta.dirname, "../../examples/hello-bootstrap");
    expect(await system.mayfly("deploy", example, "--name", "own-client")).toMatchObject({ code: 0 });
    expect((await invoke("own-client", { name: "Ada" })).string()).toContain("Ada");
  });

  test("a bootstrap is told the zone of its worker by the metadata endpoint, with the token it finds", async () => {
    const files = {
      bootstrap: `#!/usr/bin/env python3
import json, os, urllib.request
api = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation"
metadata = "http://" + os.environ["AWS_LAMBDA_METADATA_API"] + "/2026-01-15/metadata/execution-environment"
while True:
    with urllib.request.urlopen(api + "/next", timeout=None) as event:
        request_id = event.headers["Lambda-Runtime-Aws-Request-Id"]
    token = {"Authorization": "Bearer " + os.environ["AWS_LAMBDA_METADATA_TOKEN"]}
    told = urllib.request.urlopen(urllib.request.Request(metadata, headers=token)).read()
    urllib.request.urlopen(urllib.request.Request(f"{api}/{request_id}/response", data=told, method="POST")).read()
`,
    };
    await deploy(platform, { name: "where", files, ...bootstrap });
    expect((await invoke("where", {})).json()).toEqual({ AvailabilityZoneID: expect.stringMatching(/^(a|b)$/) });
  });

  test("a bootstrap that isn't there is named", async () => {
    await deploy(platform, { name: "no-bootstrap", files: { "readme.txt": "nothing" }, ...bootstrap });
    const reply = await invoke("no-bootstrap", {});
    expect(reply.headers?.get("X-Amz-Function-Error")).toBe("Unhandled");
    expect(reply.json()).toMatchObject({ errorType: "Runtime.InvalidEntrypoint" });
  });

  test("AWS's own client for Go, compiled into the function", { timeout: 240_000 }, async (context) => {
    const compiled = await goFunction();
    if ("missing" in compiled) return context.skip(`aws-lambda-go can't be had here: ${compiled.missing}`);
    const [, program = ""] = /'([^']+)'/.exec(compiled.command) ?? [];
    const app = join(folder, "go");
    await mkdir(app);
    await copyFile(program, join(app, "bootstrap"));
    const flags = ["--runtime", bootstrap.runtime, "--handler", "index.handler", "--timeout", "20"];
    expect(await system.mayfly("deploy", app, "--name", "gopher", ...flags)).toMatchObject({ code: 0 });
    expect((await invoke("gopher", { n: 1 })).json()).toEqual({ event: { n: 1 }, count: 1 });
    const warm = await invoke("gopher", { n: 2 });
    expect([warm.headers?.get("Mayfly-Start"), warm.json()]).toEqual(["warm", { event: { n: 2 }, count: 2 }]);
  });

  test("AWS's own client for Node.js, as published, in the function's package", {
    timeout: 240_000,
  }, async (context) => {
    const client = await nodeClient();
    if ("missing" in client) return context.skip(`aws-lambda-ric can't be had here: ${client.missing}`);
    const [, entry = ""] = /'([^']+\/node_modules)\/aws-lambda-ric/.exec(client.command) ?? [];
    const app = join(folder, "ric");
    await mkdir(app);
    await run("cp", ["-r", entry, join(app, "node_modules")]);
    await writeFile(
      join(app, "index.mjs"),
      "export const handler = async (event) => ({ by: 'aws-lambda-ric', event });\n",
    );
    const start = "#!/bin/sh\nexec /var/lang/bin/node /var/task/node_modules/aws-lambda-ric/index.mjs index.handler\n";
    await writeFile(join(app, "bootstrap"), start, { mode: 0o755 });
    const flags = [
      "--name",
      "ric",
      "--runtime",
      bootstrap.runtime,
      "--handler",
      "index.handler",
      "--memory",
      "256",
      "--timeout",
      "20",
    ];
    const deployed = await system.mayfly("deploy", app, ...flags);
    expect(deployed).toMatchObject({ code: 0 });
    expect((await invoke("ric", { n: 1 })).json()).toEqual({ by: "aws-lambda-ric", event: { n: 1 } });
    expect((await invoke("ric", { n: 2 })).headers?.get("Mayfly-Start")).toBe("warm");
  });
});

describe("a runtime that was added", () => {
  test("AWS's own client for Python, from pip, in the function's package, on a Python of any place", {
    timeout: 240_000,
  }, async (context) => {
    const client = await pythonClient();
    if ("missing" in client) return context.skip(`awslambdaric can't be had here: ${client.missing}`);
    const [, packages = ""] = /PYTHONPATH='([^']+)'/.exec(client.command) ?? [];
    const asked = "import json, sys; print(json.dumps([sys.base_prefix, sys.version.split()[0]]))";
    const [lang, version] = JSON.parse((await run(join(packages, "python"), ["-c", asked])).stdout) as [string, string];
    const runtime = join(folder, "snakes");
    await mkdir(runtime);
    await writeFile(join(runtime, "runtime.json"), JSON.stringify({ name: "snakes3", version, lang }));
    const start = '#!/bin/sh\nexec /var/lang/bin/python3 -m awslambdaric "$_HANDLER"\n';
    await writeFile(join(runtime, "bootstrap"), start, { mode: 0o755 });
    expect(await system.mayfly("runtime", "install", runtime)).toMatchObject({ code: 0 });

    const app = join(folder, "snake-app");
    await run("cp", ["-r", packages, app]);
    await writeFile(
      join(app, "index.py"),
      `import awslambdaric, os
served = 0
def handler(event, context):
    global served
    served += 1
    if "fail" in event:
        raise KeyError(event["fail"])
    left = context.get_remaining_time_in_millis()
    return {"by": os.path.dirname(awslambdaric.__file__), "event": event, "served": served,
            "fn": context.function_name, "arn": context.invoked_function_arn, "left": 0 < left <= 20000}
`,
    );
    const deploy = (name: string, handler: string) =>
      system.mayfly(
        ...["deploy", app, "--name", name, "--runtime", "snakes3", "--handler", handler],
        ...["--memory", "256", "--timeout", "20"],
      );
    // The worker tells of the runtime with its next beat.
    await expect.poll(() => deploy("rattler", "index.handler"), { timeout: 20_000 }).toMatchObject({ code: 0 });
    const answer = (n: number) => ({
      by: "/var/task/awslambdaric",
      event: { n },
      served: n,
      fn: "rattler",
      arn: expect.stringMatching(/:function:rattler$/),
      left: true,
    });
    expect((await invoke("rattler", { n: 1 })).json()).toEqual(answer(1));
    const warm = await invoke("rattler", { n: 2 });
    expect([warm.headers?.get("Mayfly-Start"), warm.json()]).toEqual(["warm", answer(2)]);
    const failed = await invoke("rattler", { fail: "key" });
    const requestId = failed.headers?.get("X-Amzn-RequestId");
    expect(failed.headers?.get("X-Amz-Function-Error")).toBe("Unhandled");
    expect(failed.json()).toEqual({
      errorType: "KeyError",
      errorMessage: "'key'",
      requestId,
      stackTrace: [expect.stringContaining("index.py")],
    });
    expect((await invoke("rattler", { n: 4 })).json()).toMatchObject({ served: 4 });

    expect(await deploy("lost", "nowhere.handler")).toMatchObject({ code: 0 });
    const lost = await invoke("lost", {});
    expect(lost.headers?.get("X-Amz-Function-Error")).toBe("Unhandled");
    expect(lost.json()).toMatchObject({
      errorType: "Runtime.ImportModuleError",
      errorMessage: expect.stringContaining("No module named 'nowhere'"),
    });
  });
});

test("the examples are what the README says they are", async () => {
  const readme = await readFile(join(import.meta.dirname, "../../README.md"), "utf8");
  expect(readme).toContain("examples/hello");
  expect(await system.mayfly("deploy", join(import.meta.dirname, "../../examples/hello"))).toMatchObject({ code: 0 });
  expect((await invoke("hello", { name: "Ada" })).json()).toMatchObject({ message: "Hello, Ada!" });
});
