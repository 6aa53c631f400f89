/** Layers in real sandboxes: published and given by the command line, found by Node.js, Python and programs at /opt. */
import { existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Msg, NatsConnection } from "nats";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findPython } from "../../actors/sandbox/runtimes/python-interpreter.ts";
import { api, deploy } from "../support/functions.ts";
import { type RunningSystem, startMayfly } from "../support/system.ts";
import { lackingIf, testUnless } from "../support/unless.ts";

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

const invoke = (fn: string, event: object = {}): Promise<Msg> =>
  nats.request(`mayfly.invoke.${fn}`, JSON.stringify(event), { timeout: 60_000 });

/** A folder of that name with these files; scripts (`#!`) may be executed. */
async function folderWith(name: string, files: Readonly<Record<string, string>>): Promise<string> {
  const place = join(folder, name);
  for (const [file, content] of Object.entries(files)) {
    await mkdir(dirname(join(place, file)), { recursive: true });
    await writeFile(join(place, file), content, { mode: content.startsWith("#!") ? 0o755 : 0o644 });
  }
  return place;
}

/** Runs it with `--json`; it must succeed. */
async function asked<T = Record<string, unknown>>(...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await system.mayfly(...args, "--json");
  expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout) as T;
}

const publish = async (name: string, files: Readonly<Record<string, string>>, ...flags: string[]) =>
  asked<{ LayerVersionArn: string; Version: number }>("layer", "publish", await folderWith(name, files), ...flags);

describe("a function with layers", () => {
  test("finds what they hold, the later one first, read-only, also when they have been deleted meanwhile", async () => {
    await publish("base", {
      "nodejs/node_modules/dep/index.js": "module.exports = 'dep of base';",
      "nodejs/node_modules/own/index.js": "module.exports = 'own of base';",
      "nodejs/node24/node_modules/for24/index.js": "module.exports = 'for 24';",
      "nodejs/node_modules/esm/index.mjs": "export default 'esm';",
      "nodejs/node_modules/esm/package.json": '{"exports":"./index.mjs"}',
      "bin/greet": "#!/bin/sh\necho hello from bin",
      "extensions/quiet.txt": "no extension",
    });
    await publish("over", { "nodejs/node_modules/dep/index.js": "module.exports = 'dep of over';" });
    const code = await folderWith("reader", {
      "index.js": `
        const { execFileSync } = require("node:child_process");
        const { writeFileSync, statSync } = require("node:fs");
        const attempt = (act) => { try { return act(); } catch (error) { return error.code; } };
        exports.handler = async () => ({
          dep: require("dep"),
          own: require("own"),
          for24: require("for24"),
          esm: (await import("esm")).default,
          bin: execFileSync("greet").toString().trim(),
          write: attempt(() => writeFileSync("/opt/new", "x")),
          change: attempt(() => writeFileSync("/opt/bin/greet", "x")),
          mode: (statSync("/opt/bin/greet").mode & 0o777).toString(8),
        });`,
    });
    await asked("deploy", code, "--layer", "base", "--layer", "over:1");
    const found = {
      dep: "dep of over",
      own: "own of base",
      for24: "for 24",
      esm: "esm",
      bin: "hello from bin",
      write: "EROFS",
      change: "EROFS",
      mode: "755",
    };
    expect((await invoke("reader")).json()).toEqual(found);
    await asked("layer", "rm", "base:1", "over");
    await asked("config", "set", "reader", "timeout=9");
    const cold = await invoke("reader");
    expect([cold.headers?.get("Mayfly-Start"), cold.json()]).toEqual(["cold", found]);
  });

  test("may be started by a wrapper of a layer", async () => {
    await publish("wrapping", {
      wrapper: '#!/bin/sh\nexport WRAPPED="by $0"\nexec "$@"\n',
      "lib/none.txt": "no library",
    });
    const files = { "index.js": "exports.handler = async () => process.env.WRAPPED;" };
    const code = await folderWith("wrapped", files);
    await asked("deploy", code, "--layer", "wrapping", "--env", "AWS_LAMBDA_EXEC_WRAPPER=/opt/wrapper");
    expect((await invoke("wrapped")).json()).toBe("by /opt/wrapper");
  });

  test("without layers finds /opt empty", async () => {
    const files = { "index.js": "exports.handler = async () => require('node:fs').readdirSync('/opt');" };
    await deploy(platform, { name: "layerless", files });
    expect((await invoke("layerless")).json()).toEqual([]);
  });

  test("of provided.al2023 may have its bootstrap from one", async () => {
    const layer = await publish("boot", {
      bootstrap: `#!/bin/sh
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime"
exec /var/lang/bin/node -e '
  const api = process.argv[1];
  (async () => { for (;;) {
    const next = await fetch(api + "/invocation/next");
    await next.text();
    const id = next.headers.get("lambda-runtime-aws-request-id");
    const body = JSON.stringify({ path: process.env.LD_LIBRARY_PATH.split(":").at(-1) });
    await fetch(api + "/invocation/" + id + "/response", { method: "POST", body });
  } })();' "$api"
`,
    });
    await deploy(platform, {
      name: "booted",
      files: { "readme.txt": "nothing" },
      runtime: "provided.al2023",
      memory: 256,
      timeout: 20,
      layers: [layer.LayerVersionArn],
    });
    expect((await invoke("booted")).json()).toEqual({ path: "/opt/lib" });
  });
});

describe("Python", async () => {
  // Any library of the host will do, under a name that the host hasn't.
  const candidates = ["/lib/x86_64-linux-gnu/libm.so.6", "/lib/aarch64-linux-gnu/libm.so.6", "/lib64/libm.so.6"];
  const library = candidates.find((path) => existsSync(path));
  const found = await Promise.all(pythons.map((runtime) => findPython(runtime, "/nowhere")));
  const runtime = pythons[found.findIndex((each) => each !== null && each !== undefined)] ?? "";
  const noPython = lackingIf(runtime === "", "no Python is installed here");

  testUnless(noPython)("imports from python and python/lib/python3.x/site-packages of a layer", async () => {
    await publish("snakes", {
      "python/plain.py": "name = 'plain'",
      [`python/lib/${runtime}/site-packages/versioned/__init__.py`]: "name = 'versioned'",
    });
    const code = await folderWith("snake", {
      "app.py": "import plain, versioned\ndef handler(event, context):\n    return [plain.name, versioned.name]\n",
      "mayfly.json": JSON.stringify({ runtime, layers: ["snakes"] }),
    });
    await asked("deploy", code);
    expect((await invoke("snake")).json()).toEqual(["plain", "versioned"]);
  });

  testUnless(noPython ?? lackingIf(library === undefined, "none of the libraries it takes is here"))(
    "loads a shared library from lib of a layer",
    async () => {
      const place = await folderWith("library", { "bin/nothing": "" });
      await mkdir(join(place, "lib"));
      await copyFile(library ?? "", join(place, "lib", "libmayfly-test.so"));
      await asked("layer", "publish", place);
      const code = await folderWith("loader", {
        "app.py": "import ctypes\ndef handler(event, context):\n    return ctypes.CDLL('libmayfly-test.so')._name\n",
      });
      await asked("deploy", code, "--runtime", runtime, "--layer", "library");
      expect((await invoke("loader")).json()).toBe("libmayfly-test.so");
    },
  );
});

describe("mayfly layer", () => {
  test("publishes, lists, shows and deletes versions, and functions are given and rid of them", async () => {
    const file = { "nodejs/node_modules/listed/index.js": "module.exports = 1;" };
    const flags = ["--name", "listed", "--description", "first", "--runtime", "nodejs24.x"];
    expect(await publish("any-name", file, ...flags)).toMatchObject({ Version: 1 });
    expect(await publish("any-name", file, "--name", "listed")).toMatchObject({ Version: 2 });
    const layers = await asked<Array<{ LayerName: string }>>("layer", "ls");
    expect(layers.find(({ LayerName }) => LayerName === "listed")).toMatchObject({
      LatestMatchingVersion: { Version: 2 },
    });
    expect(await asked<Array<{ Version: number }>>("layer", "ls", "listed")).toMatchObject([
      { Version: 2 },
      { Version: 1, Description: "first" },
    ]);
    expect((await system.mayfly("layer", "ls")).stdout).toMatch(/^listed +2 /m);
    expect((await system.mayfly("layer", "show", "listed:1")).stdout).toMatch(/^for +nodejs24\.x$/m);

    const code = await folderWith("given", { "index.js": "exports.handler = async () => require('listed');" });
    await asked("deploy", code, "--layer", "listed:1");
    expect((await system.mayfly("show", "given")).stdout).toMatch(/^layers +listed:1$/m);
    expect((await system.mayfly("deploy", code, "--layer", "listed:1")).stdout).toMatch(/is unchanged/);
    expect((await system.mayfly("deploy", code)).stdout).toMatch(/is unchanged/);
    await asked("config", "set", "given", "layers=listed");
    expect((await system.mayfly("show", "given")).stdout).toMatch(/^layers +listed:2$/m);
    expect((await invoke("given")).json()).toBe(1);
    await asked("config", "unset", "given", "layers");
    expect((await api(nats, "GetFunctionConfiguration", { FunctionName: "given" })).Layers).toBeUndefined();

    expect(await asked("layer", "rm", "listed")).toEqual({ deleted: ["listed:2", "listed:1"] });
    const gone = await system.mayfly("layer", "show", "listed");
    expect(gone).toMatchObject({ code: 3, stderr: expect.stringContaining("ResourceNotFoundException") });
  });

  test("says what is wrong by name, and warns of content where nobody looks", async () => {
    const place = await folderWith("misplaced", { "node_modules/a/index.js": "" });
    const warned = await system.mayfly("layer", "publish", place);
    expect(warned).toMatchObject({ code: 0, stderr: expect.stringContaining("where runtimes look") });
    const fails = async (...args: string[]) => {
      const { code, stderr } = await system.mayfly(...args);
      return [code, stderr] as const;
    };
    expect(await fails("layer", "publish", join(folder, "nothing"))).toEqual([2, expect.stringContaining("nothing")]);
    expect(await fails("layer", "show", "a.b")).toEqual([2, expect.stringContaining("name:version")]);
    expect(await fails("layer", "rm", "misplaced:7")).toEqual([3, expect.stringContaining("ResourceNotFound")]);
    const code = await folderWith("wishing", { "index.js": "exports.handler = async () => 1;" });
    expect(await fails("deploy", code, "--layer", "nobody")).toEqual([
      3,
      expect.stringContaining("no layer named nobody"),
    ]);
    expect((await system.mayfly("layer", "--help")).stdout).toMatch(/publish.*\n.*ls/);
  });
});
