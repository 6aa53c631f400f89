/** Bytecode that one sandbox hands over and later ones begin with, through a whole system: who gets it, and who never does. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Msg, NatsConnection } from "nats";
import { afterAll, beforeAll, expect, test } from "vitest";
import { RECEIPT, START } from "../../subjects/headers.ts";
import { noIsolation } from "../sandbox/drivers/hosted.ts";
import { COMPILED, GIVEN, large, largeModule } from "../sandbox/runtimes/large-module.ts";
import { api, configure, deploy, settled } from "../support/functions.ts";
import { type RunningSystem, startMayfly } from "../support/system.ts";
import { describeUnless, testUnless } from "../support/unless.ts";
import { zipOf } from "../support/zip.ts";

/** What there is to notice for a function, besides what V8 was given. */
const LOOK = `
const found = readdirSync("/tmp").length;
const look = () => ({
  env: Object.keys(process.env).sort().join(),
  child: execFileSync(process.execPath, ["-p", "Object.keys(process.env).sort() + require('module').prototype._compile.name"]).toString(),
  tmp: [found, readdirSync("/tmp").length],
  argv: process.execArgv,
});
`;
/** Both answer `{answer, given}`, and what `LOOK` sees. */
const COMMON_JS = {
  format: "CommonJS",
  files: (answer: number) => ({
    "index.js": `const { execFileSync } = require("node:child_process"); const { readdirSync } = require("node:fs"); ${LOOK}
      const { handler } = require("./given.js"); exports.handler = async () => ({ ...(await handler()), ...look() });`,
    "given.js": GIVEN,
    "large.js": large(`exports.answer = () => ${answer};`),
  }),
  compiled: { "large.js": "nothing" },
  taken: { "large.js": "taken" },
  /** Node itself compiles: no script is seen to be made. */
  none: {},
};
const ES_MODULES = {
  format: "ES modules",
  files: (answer: number) => ({
    "index.mjs": `import { execFileSync } from "node:child_process"; import { readdirSync } from "node:fs"; import { answer, given } from "./large.mjs"; ${LOOK}
      export const handler = async () => ({ answer, given, ...look() });`,
    "compiled.mjs": COMPILED,
    "large.mjs": largeModule(`export const answer = ${answer};`),
  }),
  compiled: "nothing",
  taken: "taken",
  none: "nothing",
};
const FORMATS = [COMMON_JS, ES_MODULES];
const isFromStem = (reply: Msg): boolean => reply.headers?.get(RECEIPT)?.includes("from=stem-cell") === true;

interface Place {
  readonly system: RunningSystem;
  readonly nats: NatsConnection;
  /** Files of bytecode. */
  kept(): Promise<string[]>;
  /** In a sandbox of its own. */
  invokeCold(fn: string): Promise<Msg>;
}

async function started(env: Readonly<Record<string, string>>): Promise<Place> {
  const system = await startMayfly({ env: { MAYFLY_ZONES: "a", ...env } });
  const nats = await system.connect("platform");
  let revision = 0;
  return {
    system,
    nats,
    kept: () => readdir(join(system.home.bytecode, "a")).catch((): string[] => []),
    async invokeCold(fn) {
      await configure(nats, fn, { Environment: { Variables: { REVISION: `${revision++}` } } });
      const reply = await nats.request(`mayfly.invoke.${fn}`, "{}", { timeout: 30_000 });
      expect(reply.headers?.get(START)).toBe("cold");
      return reply;
    },
  };
}

/** No driver has a part in it, but that this one shows functions the host's own paths. */
test("a plain process begins with what the one before it compiled", async () => {
  const place = await started({ MAYFLY_SANDBOX: "process" });
  await using _ = place.system;
  for (const [index, { format, files, compiled, taken }] of FORMATS.entries()) {
    const fn = `ada-${index}`;
    await deploy(place.nats, { name: fn, files: files(1), timeout: 20 });
    expect((await place.invokeCold(fn)).json(), format).toMatchObject({ answer: 1, given: compiled });
    await expect.poll(place.kept, { timeout: 10_000 }).toHaveLength(index + 1);
    expect(await place.kept()).toEqual(Array(index + 1).fill(expect.stringMatching(/^[0-9a-f]{64}$/)));
    expect((await place.invokeCold(fn)).json(), format).toMatchObject({ answer: 1, given: taken });
  }
});

describeUnless(noIsolation).each(FORMATS)("bytecode of $format", ({ files, compiled, taken }) => {
  let place: Place;
  beforeAll(async () => {
    place = await started({});
  });
  afterAll(() => place?.system[Symbol.asyncDispose]());

  test("is a function version's own: not even the same code of another function has it, and it isn't noticed", async () => {
    for (const name of ["ada", "bob"]) await deploy(place.nats, { name, files: files(1), timeout: 20 });
    const first = (await place.invokeCold("ada")).json();
    expect(first).toMatchObject({ answer: 1, given: compiled, tmp: [0, 0] });
    await expect.poll(place.kept, { timeout: 10_000 }).toHaveLength(1);
    expect((await place.invokeCold("bob")).json()).toEqual(first);
    await expect.poll(place.kept, { timeout: 10_000 }).toHaveLength(2);
    expect((await place.invokeCold("ada")).json()).toEqual({ ...Object(first), given: taken });
  });

  test("reaches a sandbox that was booted before it was needed", async ({ skip }) => {
    if (!place.system.output().includes("can be booted beforehand")) skip("nothing can be placed in a running sandbox");
    const fromStem = async () => {
      const reply = await place.invokeCold("ada");
      return isFromStem(reply) ? reply.json<{ given: unknown }>().given : undefined;
    };
    await expect.poll(fromStem, { timeout: 20_000 }).toEqual(taken);
  });

  test("of one version isn't given to another, whether it was published or its code changed", async () => {
    const published = await api(place.nats, "PublishVersion", { FunctionName: "ada" });
    expect(published.Version).toBe("1");
    const reply = await place.nats.request("mayfly.invoke.ada.1", "{}", { timeout: 30_000 });
    expect(reply.json()).toMatchObject({ given: compiled });
    const ZipFile = (await zipOf(files(2))).toString("base64");
    await api(place.nats, "UpdateFunctionCode", { FunctionName: "ada", ZipFile });
    await settled(place.nats, "ada");
    expect((await place.invokeCold("ada")).json()).toMatchObject({ answer: 2, given: compiled });
    await expect.poll(place.kept, { timeout: 10_000 }).toHaveLength(4);
    expect((await place.invokeCold("ada")).json()).toMatchObject({ answer: 2, given: taken });
  });
});

testUnless(noIsolation)("none is made or given where that is switched off", async () => {
  const place = await started({ MAYFLY_BYTECODE: "0", MAYFLY_STEM_CELLS: "0" });
  await using _ = place.system;
  for (const { files, none } of FORMATS) {
    await deploy(place.nats, { name: "ada", files: files(1), timeout: 20 });
    for (let n = 0; n < 2; n++)
      expect((await place.invokeCold("ada")).json()).toMatchObject({ answer: 1, given: none });
    await api(place.nats, "DeleteFunction", { FunctionName: "ada" });
  }
  expect(await place.kept()).toEqual([]);
});
