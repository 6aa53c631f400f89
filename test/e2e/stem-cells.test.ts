/** Cold starts from a sandbox that was booted before anybody needed it, from the caller's request to its answer. */
import type { Msg, NatsConnection } from "nats";
import { afterAll, beforeAll, expect, test } from "vitest";
import { RAN_ON, RECEIPT, START } from "../../subjects/headers.ts";
import { noIsolation } from "../sandbox/drivers/hosted.ts";
import { configure, deploy } from "../support/functions.ts";
import { type RunningSystem, startMayfly } from "../support/system.ts";
import { describeUnless, testUnless } from "../support/unless.ts";

/** Says all that is to be seen, and leaves something behind wherever it can. */
const LOOK_AROUND = `
const { readdirSync, readFileSync, writeFileSync } = require("node:fs");
const found = readdirSync("/tmp");
exports.handler = async (event) => {
  writeFileSync("/tmp/of-" + process.env.AWS_LAMBDA_FUNCTION_NAME, "x");
  return {
    env: Object.keys(process.env).filter((name) => name.startsWith("MINE_")),
    name: process.env.AWS_LAMBDA_FUNCTION_NAME,
    task: readdirSync("/var/task"),
    own: readFileSync("/var/task/own", "utf8"),
    found,
    processes: readdirSync("/proc").filter((name) => /^\\d+$/.test(name)).length,
    writable: (() => { try { writeFileSync("/var/task/x", ""); return true; } catch { return false; } })(),
  };
};
`;

const isFromStem = (reply: Msg): boolean => reply.headers?.get(RECEIPT)?.includes("from=stem-cell") === true;
const sandboxOf = (reply: Msg): string => reply.headers?.get(RAN_ON) ?? "";

describeUnless(noIsolation)("a cold start", () => {
  let system: RunningSystem;
  let nats: NatsConnection;
  let placeable = false;
  const functions = ["ada", "bob", "cleo"];

  beforeAll(async () => {
    system = await startMayfly({ env: { MAYFLY_ZONES: "a" } });
    nats = await system.connect("platform");
    placeable = system.output().includes("can be booted beforehand");
    for (const name of functions) {
      const environment = { [`MINE_${name.toUpperCase()}`]: "x" };
      await deploy(nats, { name, files: { "index.js": LOOK_AROUND, own: name }, environment });
    }
  });
  afterAll(() => system?.[Symbol.asyncDispose]());

  const invoke = (fn: string) => nats.request(`mayfly.invoke.${fn}`, "{}", { timeout: 30_000 });
  let revision = 0;
  const invokeCold = async (fn: string, variables: Record<string, string> = {}) => {
    await configure(nats, fn, { Environment: { Variables: { ...variables, REVISION: `${revision++}` } } });
    return invoke(fn);
  };

  test("finds a sandbox ready, in time, and says so; the second call of it is warm as any", async ({ skip }) => {
    if (!placeable) skip("nothing can be placed in a running sandbox here");
    await expect.poll(async () => isFromStem(await invokeCold("ada")), { timeout: 20_000 }).toBe(true);
    const warm = await invoke("ada");
    expect(warm.headers?.get(START)).toBe("warm");
    expect(isFromStem(warm)).toBe(false);
  });

  test("from a stem cell is as if the sandbox had been made for the function, and for nobody before", async ({
    skip,
  }) => {
    if (!placeable) skip("nothing can be placed in a running sandbox here");
    const seen = new Map<string, string>();
    for (const fn of [...functions, ...functions]) {
      let reply: Msg | undefined;
      await expect
        .poll(
          async () => {
            reply = await invokeCold(fn, { [`MINE_${fn.toUpperCase()}`]: "x" });
            return isFromStem(reply);
          },
          { timeout: 20_000 },
        )
        .toBe(true);
      expect(reply?.json()).toEqual({
        env: [`MINE_${fn.toUpperCase()}`],
        name: fn,
        task: ["index.js", "own"],
        own: fn,
        found: [],
        processes: 2,
        writable: false,
      });
      const sandbox = sandboxOf(reply as Msg);
      expect(seen.get(sandbox), "nobody had it before").toBeUndefined();
      seen.set(sandbox, fn);
    }
  });

  test("of many at once gives each a sandbox of its own, whether or not one was ready", async () => {
    await Promise.all(functions.map((fn) => invokeCold(fn)));
    const replies = await Promise.all(functions.flatMap((fn) => [1, 2, 3, 4].map(() => invoke(fn))));
    for (const [index, reply] of replies.entries()) {
      expect(reply.json<{ own: string }>().own).toBe(functions[Math.floor(index / 4)]);
    }
  });
});

testUnless(noIsolation)("none is kept ready where that is switched off", async () => {
  await using system = await startMayfly({ env: { MAYFLY_ZONES: "a", MAYFLY_STEM_CELLS: "0" } });
  const nats = await system.connect("platform");
  await deploy(nats, { name: "ada", files: { "index.js": LOOK_AROUND, own: "ada" } });
  const reply = await nats.request("mayfly.invoke.ada", "{}", { timeout: 30_000 });
  expect(reply.headers?.get(START)).toBe("cold");
  expect(isFromStem(reply)).toBe(false);
});
