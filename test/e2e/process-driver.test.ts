/** Functions as plain processes, where somebody asks for that: they work, and nobody can overlook it. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { noPython, PYTHON } from "../attacks/attacked.ts";
import { deploy, type FunctionPlan } from "../support/functions.ts";
import { programs, type RunningSystem, runMayfly, startMayfly } from "../support/system.ts";
import { testUnless } from "../support/unless.ts";

const BOOTSTRAP = `#!${process.execPath}
const base = "http://" + process.env.AWS_LAMBDA_RUNTIME_API + "/2018-06-01/runtime/invocation/";
(async () => {
  for (;;) {
    const next = await fetch(base + "next");
    const id = next.headers.get("lambda-runtime-aws-request-id");
    await fetch(base + id + "/response", { method: "POST", body: JSON.stringify({ custom: await next.json() }) });
  }
})();
`;

describe("with MAYFLY_SANDBOX=process", () => {
  let system: RunningSystem;
  beforeAll(async () => {
    system = await startMayfly({ env: { MAYFLY_SANDBOX: "process", MAYFLY_ZONES: "a" } });
  });
  afterAll(() => system?.[Symbol.asyncDispose]());

  const invoked = async (plan: FunctionPlan, event: unknown) => {
    await deploy(await system.connect("platform"), plan);
    const nats = await system.connect();
    const reply = await nats.request(`mayfly.invoke.${plan.name}`, JSON.stringify(event), { timeout: 30_000 });
    return { value: reply.json(), ranOn: reply.headers?.get("Mayfly-Sandbox") };
  };

  test("it says at its start that nothing is isolated", () => {
    expect(system.output()).toMatch(/^isolation: process: NO ISOLATION/m);
    expect(system.output()).toMatch(/WARNING: every function can read this user's files/);
  });

  test("a Node.js function finds its code, its files and its environment, and every receipt names the driver", async () => {
    const code = `const here = require("./here.json");
exports.handler = async (event) => ({ event, here, root: process.env.LAMBDA_TASK_ROOT === __dirname });`;
    const { value, ranOn } = await invoked(
      { name: "node", files: { "index.js": code, "here.json": '"here"' } },
      { n: 1 },
    );
    expect(value).toEqual({ event: { n: 1 }, here: "here", root: true });
    expect(ranOn).toMatch(/ process$/);
  });

  testUnless(noPython)("a Python function runs too", async () => {
    const files = { "index.py": "def handler(event, context):\n    return [event, context.function_name]\n" };
    const { value } = await invoked({ name: "python", runtime: PYTHON ?? "", files }, "x");
    expect(value).toEqual(["x", "python"]);
  });

  test("two runtimes of their own have a port each", async () => {
    const answers = await Promise.all(
      ["one", "two"].map((name) =>
        invoked({ name, runtime: "provided.al2023", files: { bootstrap: BOOTSTRAP } }, { name }),
      ),
    );
    expect(answers.map(({ value }) => value)).toEqual([{ custom: { name: "one" } }, { custom: { name: "two" } }]);
  });

  test("a function that is to have a network of its own isn't run, which isn't told as its own fault", async () => {
    const plan = { name: "networked", files: { "index.js": "exports.handler = async () => 1;" } };
    expect((await invoked(plan, {})).value).toBe(1);
    expect((await system.mayfly("config", "set", plan.name, "egress=internet")).code).toBe(0);
    const reply = await (await system.connect()).request(`mayfly.invoke.${plan.name}`, "{}", { timeout: 30_000 });
    expect(reply.headers?.get("Nats-Service-Error")).toMatch(
      /^ServiceException: .* EgressUnavailable: .*the driver process makes none/,
    );
    expect(reply.headers?.has("X-Amz-Function-Error")).toBe(false);
  });

  test.each([{ NODE_ENV: "production" }, { MAYFLY_MODE: "production" }])(
    "it doesn't start in production (%o), and says what to do",
    async (production) => {
      const env = { ...system.env, ...(await programs()), MAYFLY_HOME: `${system.home.root}-2`, ...production };
      const refused = await runMayfly(env, ["up"]);
      expect(refused.code).toBe(3);
      expect(refused.stderr).toMatch(/IsolationUnavailable: the process driver isolates nothing/);
      expect(refused.stderr).toContain("Set MAYFLY_SANDBOX to auto, bubblewrap or oci");
    },
  );
});
