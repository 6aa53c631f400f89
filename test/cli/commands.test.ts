/** The verbs against a running system: real processes, a real server, real sandboxes. */
import { once } from "node:events";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { findNatsServer } from "../../bin/embedded/find-nats-server.ts";
import { readFolder } from "../../bin/package/folder.ts";
import { pack } from "../../bin/package/pack.ts";
import { type RunningSystem, startMayfly } from "../support/system.ts";
import { olderNodes } from "./older-nodes.ts";
import { type Ran, type RunOptions, runCli, startCli } from "./run-cli.ts";

const root = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const examples = root("examples");
const older = await olderNodes();

let system: RunningSystem;
let scratch: string;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "mayfly-cli-"));
  const { path } = await findNatsServer({ tools: root("node_modules/.cache/mayfly/tools") });
  system = await startMayfly({ env: { MAYFLY_NATS_SERVER: path, MAYFLY_ZONES: "a,b" } });
});
afterAll(async () => {
  await system?.[Symbol.asyncDispose]();
  await rm(scratch, { recursive: true, force: true });
});

/** A text that matches. */
const says = (pattern: RegExp) => expect.stringMatching(pattern);
const home = () => ({ MAYFLY_HOME: system.home.root });
const mayfly = (args: readonly string[], options: RunOptions = {}): Promise<Ran> =>
  runCli(args, { ...options, env: { ...home(), ...options.env } });

/** Runs it with `--json`; it must succeed. */
async function asked<T>(...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await mayfly([...args, "--json"]);
  expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout) as T;
}

/** A folder with one file of code, gone after the test. */
async function folderWith(name: string, code: string): Promise<string> {
  const folder = await mkdtemp(join(scratch, "fn-"));
  await writeFile(join(folder, name), code);
  return folder;
}

interface Invoked {
  payload: Record<string, unknown>;
  start: string;
  functionError?: string;
  us: Record<string, number>;
  sandbox: string;
}
interface Shown {
  Configuration: Record<string, unknown>;
  Concurrency?: { ReservedConcurrentExecutions: number };
}

describe("a person's way through", () => {
  it("deploys the hello example, sees it listed, and invokes it cold and then warm", async () => {
    const deployed = await mayfly(["deploy", join(examples, "hello")]);
    expect(deployed).toMatchObject({ code: 0, stdout: says(/^hello is created: version \$LATEST/) });
    expect(await asked<Array<{ FunctionName: string }>>("ls")).toMatchObject([{ FunctionName: "hello", Timeout: 10 }]);
    const cold = await asked<Invoked>("invoke", "hello", '{"name":"Ada"}');
    expect(cold).toMatchObject({ payload: { message: "Hello, Ada!", callsOfThisSandbox: 1 }, start: "cold" });
    expect(cold.us.init).toBeGreaterThan(0);
    const warm = await mayfly(["invoke", "hello", '{"name":"Ada"}', "--log"]);
    expect(JSON.parse(warm.stdout)).toMatchObject({ message: "Hello, Ada!", callsOfThisSandbox: 2 });
    expect(warm.stderr).toMatch(/INFO\tgreeting Ada/);
    expect(warm.stderr).toMatch(/^warm · /m);
  });

  it("deploys the same again without a change: the sandbox stays warm", async () => {
    const again = await mayfly(["deploy", join(examples, "hello")]);
    expect(again.stdout).toMatch(/^hello is unchanged/);
    expect(await asked<Invoked>("invoke", "hello", "{}")).toMatchObject({ start: "warm" });
  });

  it("takes the payload as it is, from a file, from stdin, or none", async () => {
    const file = join(scratch, "payload.json");
    await writeFile(file, '{"name":"File"}');
    const message = async (args: readonly string[], input?: string) =>
      JSON.parse((await mayfly(["invoke", "hello", ...args], input === undefined ? {} : { input })).stdout).message;
    expect(await message([`@${file}`])).toBe("Hello, File!");
    expect(await message(["-"], '{"name":"Pipe"}')).toBe("Hello, Pipe!");
    expect(await message([])).toBe("Hello, world!");
  });

  it.each([
    ["hello-python", "python3"],
    ["hello-bootstrap", "provided.al2023"],
  ])("deploys %s, which says nothing of itself, as %s", async (example, runtime) => {
    const configuration = await asked<{ Runtime: string }>("deploy", join(examples, example), "--timeout", "20");
    expect(configuration.Runtime).toContain(runtime);
    expect(await asked<Invoked>("invoke", example, '{"name":"Ada"}')).toMatchObject({
      payload: { message: "Hello, Ada!" },
    });
  });

  it("deploys a zip byte for byte", async () => {
    const zip = join(scratch, "zipped.zip");
    await writeFile(zip, await pack(await readFolder(join(examples, "hello"))));
    const { FunctionName, CodeSha256 } = await asked<Record<string, string>>("deploy", zip);
    expect(FunctionName).toBe("zipped");
    expect((await asked<Shown>("show", "hello")).Configuration.CodeSha256).toBe(CodeSha256);
    expect(await asked<Invoked>("invoke", "zipped", "{}")).toMatchObject({ payload: { message: "Hello, world!" } });
  });

  it("gives a function new code, and keeps what was configured", async () => {
    const folder = await mkdtemp(join(scratch, "fn-"));
    await cp(join(examples, "hello", "index.mjs"), join(folder, "index.mjs"));
    await asked("deploy", folder, "--name", "changing", "--memory", "256", "--env", "GREETING=Hi");
    await writeFile(join(folder, "index.mjs"), "export const handler = () => process.env.GREETING + ' again';");
    const updated = await asked<Record<string, unknown>>("deploy", folder, "--name", "changing", "--env", "OTHER=x");
    expect(updated).toMatchObject({
      MemorySize: 256,
      Environment: { Variables: { GREETING: "Hi", OTHER: "x" } },
      LastUpdateStatus: "Successful",
    });
    expect((await mayfly(["invoke", "changing"])).stdout).toBe('"Hi again"');
  });

  it("makes nothing of a function that is to reach what the owner of the machine doesn't permit", async () => {
    const folder = await folderWith("index.mjs", "export const handler = () => 1;");
    await writeFile(join(folder, "mayfly.json"), '{"egress":"10.1.2.3:80"}');
    const refused = await mayfly(["deploy", folder, "--name", "curious"]);
    expect(refused).toMatchObject({ code: 3, stderr: says(/InvalidParameterValueException: .*10\.1\.2\.3/) });
    expect((await asked<Array<{ FunctionName: string }>>("ls")).map((each) => each.FunctionName)).not.toContain(
      "curious",
    );
    await writeFile(join(folder, "mayfly.json"), '{"egress":"203.0.113.7:443"}');
    expect(await mayfly(["deploy", folder, "--name", "curious"])).toMatchObject({ code: 0 });
    expect((await mayfly(["show", "curious"])).stdout).toMatch(/^egress +203\.0\.113\.7:443$/m);
    expect(await mayfly(["rm", "curious"])).toMatchObject({ code: 0 });
  });

  it("changes the configuration, and takes it back", async () => {
    await mayfly(["config", "set", "hello", "memory=256", "timeout=5", "env.GREETING=Hi", "env.MORE=x", "reserved=5"]);
    const shown = await asked<Shown>("show", "hello");
    expect(shown).toMatchObject({
      Configuration: { MemorySize: 256, Timeout: 5, Environment: { Variables: { GREETING: "Hi", MORE: "x" } } },
      Concurrency: { ReservedConcurrentExecutions: 5 },
    });
    expect((await asked<Invoked>("invoke", "hello", '{"name":"Ada"}')).payload.message).toBe("Hi, Ada!");
    await mayfly(["config", "unset", "hello", "memory", "env.MORE", "reserved"]);
    const after = await asked<Shown>("show", "hello");
    expect(after.Configuration).toMatchObject({ MemorySize: 128, Environment: { Variables: { GREETING: "Hi" } } });
    expect(after.Concurrency).toBeUndefined();
    expect((await mayfly(["show", "hello"])).stdout).toMatch(/^environment +GREETING=Hi$/m);
  });

  it("lists a worker in each zone, with its isolation", async () => {
    const workers = await asked<Array<{ zone: string; state: string }>>("ls", "--workers");
    expect(workers.map(({ zone }) => zone)).toEqual(["a", "b"]);
    expect((await mayfly(["ls", "--workers"])).stdout).toMatch(/bubblewrap/);
  });

  it("deletes functions", async () => {
    await asked("deploy", join(examples, "hello"), "--name", "short-lived");
    expect((await mayfly(["rm", "short-lived"])).stdout).toBe("short-lived is deleted\n");
    expect(await mayfly(["rm", "short-lived"])).toMatchObject({ code: 3, stderr: says(/ResourceNotFoundException/) });
    expect(await asked("rm", "short-lived", "--if-exists")).toEqual({ deleted: [] });
  });
});

describe("logs", () => {
  it("prints what was written, with its time and sandbox, plain, or as JSON", async () => {
    await asked("deploy", join(examples, "hello"), "--name", "noted");
    await mayfly(["invoke", "noted", '{"name":"Ada"}']);
    const json = (await mayfly(["logs", "noted", "--json"])).stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(json.map(({ line }) => (line as string).split(" ")[0])).toContain("START");
    expect(json[0]).toEqual({ at: expect.any(Number), sandbox: expect.any(String), line: expect.any(String) });
    expect((await mayfly(["logs", "noted", "--plain"])).stdout).toMatch(/\tINFO\tgreeting Ada$/m);
    expect((await mayfly(["logs", "noted"])).stdout).toMatch(/^\d\d:\d\d:\d\d\.\d{3} \S+ {2}START RequestId/m);
  });

  it("prints nothing of a function that wrote nothing", async () => {
    expect(await mayfly(["logs", "unknown"])).toMatchObject({ code: 0, stdout: "" });
    expect(await mayfly(["logs", "noted", "--since", "yesterday"])).toMatchObject({ code: 2 });
  });

  it.each([{ runtime: "the tester's Node.js", node: process.execPath }, ...older])(
    "follows until it is told to stop, run by $runtime",
    async ({ node }) => {
      const name = `followed-${older.findIndex((each) => each.node === node) + 1}`;
      await asked("deploy", join(examples, "hello"), "--name", name);
      const following = startCli(["logs", name, "-f", "--plain"], { node, env: home() });
      onTestFinished(() => void following.kill("SIGKILL"));
      const lines = createInterface(following.stdout!)[Symbol.asyncIterator]();
      const greeted = async (who: string) => {
        await mayfly(["invoke", name, `{"name":"${who}"}`]);
        for (;;) {
          const { value, done } = await lines.next();
          if (done === true) return false;
          if (value.endsWith(`greeting ${who}`)) return true;
        }
      };
      expect(await greeted("Ada")).toBe(true);
      expect(await greeted("Grace")).toBe(true);
      following.kill("SIGTERM");
      expect(await once(following, "exit")).toEqual([0, null]);
    },
  );
});

describe("exit codes and errors", () => {
  it("are 1 and the function's own error for a function that fails", async () => {
    const folder = await folderWith("index.mjs", "export const handler = () => { throw new RangeError('too far') }");
    await asked("deploy", folder, "--name", "failing");
    const failed = await mayfly(["invoke", "failing", "{}"]);
    expect(failed).toMatchObject({ code: 1, stderr: says(/FAILED \(Unhandled\)/) });
    expect(JSON.parse(failed.stdout)).toMatchObject({ errorType: "RangeError", errorMessage: "too far" });
    const asJson = await mayfly(["invoke", "failing", "{}", "--json"]);
    expect(asJson.code).toBe(1);
    expect(JSON.parse(asJson.stdout)).toMatchObject({
      functionError: "Unhandled",
      payload: { errorType: "RangeError" },
    });
  });

  it("are 3 and the platform's name for it when it refuses", async () => {
    expect(await mayfly(["invoke", "nobody", "{}"])).toMatchObject({
      code: 3,
      stdout: "",
      stderr: says(/ResourceNotFoundException/),
    });
    expect(await mayfly(["invoke", "hello", "{"])).toMatchObject({
      code: 3,
      stderr: says(/InvalidRequestContentException/),
    });
    const tooMuch = await mayfly(["config", "set", "hello", "memory=1", "--json"]);
    expect(tooMuch.code).toBe(3);
    expect(JSON.parse(tooMuch.stderr)).toMatchObject({ error: { name: "ValidationException" } });
    const large = await mayfly(["invoke", "hello", "-"], { input: JSON.stringify("x".repeat(6_300_000)) });
    expect(large).toMatchObject({ code: 3, stderr: says(/RequestTooLargeException/) });
  });

  it("are 3 and a remedy for code nobody can run", async () => {
    const folder = await folderWith("main.go", "package main");
    expect(await mayfly(["deploy", folder])).toMatchObject({ code: 3, stderr: says(/PackageUnfit.*\n.*--runtime/) });
    const python = await folderWith("app.py", "def handler(e, c): pass");
    expect(await mayfly(["deploy", python, "--runtime", "python3.9", "--name", "old"])).toMatchObject({
      code: 3,
      stderr: says(/RuntimeNotInstalled: .*python3\.9/),
    });
  });

  it("are 2 for what can't be meant", async () => {
    expect(await mayfly(["deploy", join(scratch, "nothing")])).toMatchObject({ code: 2 });
    expect(await mayfly(["deploy", join(examples, "hello"), "--memory", "much"])).toMatchObject({ code: 2 });
    expect(await mayfly(["config", "set", "hello", "colour=red"])).toMatchObject({
      code: 2,
      stderr: says(/there is no "colour"/),
    });
    expect(await mayfly(["invoke", "not.a.name"])).toMatchObject({ code: 2 });
  });

  it("are 4 when nothing runs, with the way to start it", async () => {
    const env = { MAYFLY_HOME: join(scratch, "no-home") };
    expect(await mayfly(["ls"], { env })).toMatchObject({ code: 4, stderr: says(/isn't running\n.*mayfly up/) });
    const nowhere = { MAYFLY_NATS_URL: "nats://127.0.0.1:1" };
    expect(await mayfly(["invoke", "hello"], { env: nowhere })).toMatchObject({ code: 4 });
    expect(await mayfly(["env"], { env })).toMatchObject({ code: 4, stdout: says(/^export MAYFLY_HOME=/) });
  });
});

describe("for scripts", () => {
  it("env tells a URL that works without anything else", async () => {
    const { natsUrl, home: told, data } = await asked<Record<string, string>>("env");
    expect({ told, data }).toEqual({ told: system.home.root, data: system.home.jetstream });
    const elsewhere = { MAYFLY_HOME: join(scratch, "elsewhere"), MAYFLY_NATS_URL: natsUrl! };
    const reached = await mayfly(["invoke", "hello", '{"name":"Ada"}', "-q"], { env: elsewhere });
    expect(reached).toMatchObject({ code: 0, stderr: "", stdout: expect.stringContaining("Ada!") });
  });

  it("a credential of a person may not store code, and is told so by name", async () => {
    const { natsUrl } = await asked<Record<string, string>>("env");
    const folder = await folderWith("index.mjs", "export const handler = () => 'not stored before';");
    const env = { MAYFLY_NATS_URL: natsUrl! };
    expect(await mayfly(["deploy", folder], { env })).toMatchObject({ code: 3, stderr: says(/AccessDeniedException/) });
  });

  it("doctor finds nothing missing where functions run", async () => {
    const checks = await asked<Array<{ name: string; ok: boolean; needed: boolean }>>("doctor");
    expect(checks.filter(({ ok, needed }) => needed && !ok)).toEqual([]);
    expect(checks.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["Node.js", "home", "nats-server", "sandbox"]),
    );
  });

  it("runtime ls tells what is here, and how to get the rest", async () => {
    const runtimes = await asked<Array<{ runtime: string; version: string | null; remedy: string | null }>>(
      "runtime",
      "ls",
    );
    expect(runtimes.find(({ runtime }) => runtime === "nodejs24.x")?.version).toMatch(/^24\./);
    for (const { version, remedy } of runtimes) expect(version === null).toBe(remedy !== null);
    expect(await mayfly(["runtime", "install", "cobol"])).toMatchObject({
      code: 3,
      stderr: says(/RuntimeNotInstalled/),
    });
  });
});
