/** A made-up runtime, added to a running system as a folder, and what nobody here can run. */
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Msg, NatsConnection } from "nats";
import { afterAll, beforeAll, expect, test } from "vitest";
import { hostArchitecture } from "../../actors/sandbox/runtimes/catalogue.ts";
import { ERROR, ERROR_CODE } from "../../subjects/headers.ts";
import { api, ROLE, settled } from "../support/functions.ts";
import { type RunningSystem, startMayfly } from "../support/system.ts";
import { zipOf } from "../support/zip.ts";

const other = hostArchitecture === "x86_64" ? "arm64" : "x86_64";

let system: RunningSystem;
let nats: NatsConnection;
let folder: string;
/** The made-up runtimes': where this Node.js is installed. */
let language: string;

beforeAll(async () => {
  language = dirname(dirname(await realpath(process.execPath)));
  folder = await mkdtemp(join(tmpdir(), "mayfly-test-"));
  system = await startMayfly();
  nats = await system.connect();
});
afterAll(async () => {
  await system?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const invoke = (fn: string, event: object = {}): Promise<Msg> =>
  nats.request(`mayfly.invoke.${fn}`, JSON.stringify(event), { timeout: 60_000 });

const create = async (
  FunctionName: string,
  Runtime: string,
  Architectures = [hostArchitecture] as readonly string[],
) => {
  const ZipFile = (await zipOf({ "greeting.txt": "Good day, %s" })).toString("base64");
  const body = { FunctionName, Runtime, Architectures, Role: ROLE, Handler: "greeting.txt", Timeout: 20 };
  return api(nats, "CreateFunction", { ...body, MemorySize: 256, Code: { ZipFile } });
};

/** A runtime whose functions are texts with a gap in them, for the name in the event. */
const BOOTSTRAP = `#!/var/lang/bin/node
const { readFileSync } = require("node:fs");
const { AWS_LAMBDA_RUNTIME_API, LAMBDA_TASK_ROOT, _HANDLER, AWS_EXECUTION_ENV } = process.env;
const invocation = "http://" + AWS_LAMBDA_RUNTIME_API + "/2018-06-01/runtime/invocation/";
const template = readFileSync(LAMBDA_TASK_ROOT + "/" + _HANDLER, "utf8");
const suffix = readFileSync("/var/runtime/suffix.txt", "utf8");
(async () => {
  for (;;) {
    const next = await fetch(invocation + "next");
    const { name, exit } = await next.json();
    if (exit) process.exit(1);
    const body = JSON.stringify({ text: template.replace("%s", name) + suffix, by: AWS_EXECUTION_ENV });
    await fetch(invocation + next.headers.get("lambda-runtime-aws-request-id") + "/response", { method: "POST", body });
  }
})();
`;

test("is listed, deployed to, invoked cold and warm, and refused again once it is removed", async () => {
  const runtime = join(folder, "texts");
  await mkdir(runtime);
  await writeFile(
    join(runtime, "runtime.json"),
    JSON.stringify({ name: "texts1.0", version: "1.0.7", architectures: [hostArchitecture], lang: language }),
  );
  await writeFile(join(runtime, "bootstrap"), BOOTSTRAP, { mode: 0o755 });
  await writeFile(join(runtime, "suffix.txt"), "!");

  await expect(create("early", "texts1.0")).rejects.toThrow(/InvalidParameterValueException: Value texts1\.0/);
  const installed = await system.mayfly("runtime", "install", runtime, "--json");
  expect(JSON.parse(installed.stdout)).toEqual([{ runtime: "texts1.0", version: "1.0.7" }]);
  expect((await system.mayfly("runtime", "ls")).stdout).toMatch(/^texts1\.0 +1\.0\.7$/m);
  // The worker tells of it with its next beat.
  await expect
    .poll(() => create("greeter", "texts1.0").then(() => "created", String), { timeout: 20_000 })
    .toBe("created");
  await settled(nats, "greeter");
  const cold = await invoke("greeter", { name: "Ada" });
  expect(cold.json()).toEqual({ text: "Good day, Ada!", by: "AWS_Lambda_texts1.0" });
  const warm = await invoke("greeter", { name: "Bo" });
  expect([warm.headers?.get("Mayfly-Start"), warm.json<{ text: string }>().text]).toEqual(["warm", "Good day, Bo!"]);

  expect(await system.mayfly("runtime", "rm", "texts1.0")).toMatchObject({ code: 0, stdout: "texts1.0 is removed\n" });
  expect(await system.mayfly("runtime", "rm", "texts1.0")).toMatchObject({
    code: 3,
    stderr: expect.stringContaining("RuntimeInUse: texts1.0 is not installed"),
  });
  let asked = 0;
  await expect
    .poll(() => create(`late-${++asked}`, "texts1.0").then(() => "created", String), { timeout: 20_000 })
    .toContain("InvalidParameterValueException");
});

test("removed and added anew under living sandboxes, it is the new one for all that begin from then on", {
  timeout: 120_000,
}, async () => {
  const runtime = join(folder, "lines");
  const install = async (suffix: string) => {
    await mkdir(runtime, { recursive: true });
    await writeFile(join(runtime, "runtime.json"), JSON.stringify({ name: "lines1", version: "1", lang: language }));
    await writeFile(join(runtime, "bootstrap"), BOOTSTRAP, { mode: 0o755 });
    await writeFile(join(runtime, "suffix.txt"), suffix);
    expect(await system.mayfly("runtime", "install", runtime)).toMatchObject({ code: 0 });
  };
  /** The worker tells of what it has with its next beat; what it says now is waited for. */
  const heard = (created: boolean) => {
    let asked = 0;
    const outcome = () =>
      create(`lines-${created}-${++asked}`, "lines1").then(
        () => true,
        () => false,
      );
    return expect.poll(outcome, { timeout: 20_000 }).toBe(created);
  };
  const told = async (name: string, event: object = {}) => {
    const reply = await invoke("liner", { name, ...event });
    return reply.headers?.get(ERROR) || reply.json<{ text?: string; errorType?: string }>();
  };
  await install("!");
  await heard(true);
  await create("liner", "lines1");
  await settled(nats, "liner");
  expect(await told("Ada")).toMatchObject({ text: "Good day, Ada!" });

  expect(await system.mayfly("runtime", "rm", "lines1")).toMatchObject({ code: 0 });
  await heard(false);
  expect(await told("Bo")).toMatchObject({ text: "Good day, Bo!" });
  expect(await told("Bo", { exit: true })).toMatchObject({ errorType: "Runtime.ExitError" });
  expect(await told("Bo")).toMatch(
    /^(InvalidRuntimeException: no worker has|ServiceException: .*RuntimeNotInstalled: The) .*lines1.* mayfly runtime install <folder>/,
  );

  await install("!");
  await heard(true);
  expect(await told("Cy")).toMatchObject({ text: "Good day, Cy!" });
  await system.mayfly("runtime", "rm", "lines1");
  await install("?");
  // What lives goes on as it is, and what it began anew with is gone.
  expect(await told("Di")).toMatchObject({ text: "Good day, Di!" });
  expect(await told("Di", { exit: true })).toMatchObject({ errorType: "Runtime.ExitError" });
  await heard(true);
  expect(await Promise.all(["Ed", "Flo", "Gil"].map((name) => told(name)))).toMatchObject(
    ["Ed", "Flo", "Gil"].map((name) => ({ text: `Good day, ${name}?` })),
  );
  const workers = await readFile(join(system.home.logs, "workers.log"), "utf8");
  expect(workers.split("\n").filter((line) => line.includes("Can't bind mount"))).toEqual([]);
});

test("code for other processors than any worker's is refused by name, soon", async () => {
  await create("elsewhere", "nodejs24.x", [other]);
  await settled(nats, "elsewhere");
  const refused = await invoke("elsewhere");
  expect([refused.headers?.get(ERROR_CODE), refused.headers?.get(ERROR)]).toEqual([
    "502",
    `InvalidRuntimeException: no worker runs code for ${other}; there are workers for ${hostArchitecture}`,
  ]);
});

test("a folder that is no runtime, or no folder, is named", async () => {
  const empty = join(folder, "empty");
  await mkdir(empty);
  const said = async (...args: string[]) => {
    const { code, stderr } = await system.mayfly("runtime", "install", ...args);
    return [code, stderr] as const;
  };
  expect(await said(empty)).toEqual([3, expect.stringMatching(/RuntimePackageUnfit: .*runtime\.json can't be read/)]);
  expect(await said(`${folder}/nothing`)).toEqual([2, expect.stringContaining("is no folder")]);
  expect(await said("python3.13", "--prefix", empty)).toEqual([
    3,
    expect.stringContaining("bin/python3.13 is missing"),
  ]);
});
