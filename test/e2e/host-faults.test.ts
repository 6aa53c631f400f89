/** What a worker's host can't do is the platform's fault: another worker does it, and where none can it is told as that. */
import { readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Msg, NatsConnection } from "nats";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { ERROR, ERROR_CODE, FUNCTION_ERROR } from "../../subjects/headers.ts";
import { Log } from "../../subjects/logs.ts";
import type { Transition } from "../../subjects/state.ts";
import { DEFAULT_ACCOUNT } from "../../subjects/tokens.ts";
import { api, deploy } from "../support/functions.ts";
import { type RunningSystem, startMayfly } from "../support/system.ts";

let system: RunningSystem;
let person: NatsConnection;
let platform: NatsConnection;
let made = 0;

beforeAll(async () => {
  system = await startMayfly({ env: { MAYFLY_ASYNC_BACKOFF_MIN: "300", MAYFLY_ASYNC_RETRY_DELAYS: "100" } });
  [person, platform] = [await system.connect(), await system.connect("platform")];
  // A zone has a cache of code once it has run something; new sandboxes are spread over them.
  const isSpread = async () => {
    await invokeNew("first");
    return (await Promise.all(ZONES.map(cacheIn))).every((cache) => cache !== undefined);
  };
  await vi.waitUntil(isSpread, { timeout: 20_000 });
}, 60_000);
afterAll(() => system?.[Symbol.asyncDispose]());

const ZONES = ["a", "b"] as const;
const FILES = {
  "index.mjs": `export const handler = async ({ run, ms = 0 }) => {
    if (run) console.log("ran " + run);
    await new Promise((resolve) => setTimeout(resolve, ms));
    return "done";
  };
`,
};

const invoke = (fn: string, event: object) =>
  person.request(`mayfly.invoke.${fn}`, JSON.stringify(event), { timeout: 30_000 });

/** In sandboxes of a function that never ran before. */
async function invokeNew(kind: string): Promise<{ name: string; replies: Msg[] }> {
  made += 1;
  const name = `${kind}-${made}`;
  await deploy(platform, { name, files: { ...FILES, "unique.txt": name } });
  return { name, replies: await Promise.all([invoke(name, { ms: 200 }), invoke(name, { ms: 200 })]) };
}

async function cacheIn(zone: string): Promise<string | undefined> {
  const folder = join(system.home.code, zone);
  const [boot] = await readdir(folder).catch(() => []);
  return boot === undefined ? undefined : join(folder, boot);
}

/** Where a worker unpacks code is a file for as long as this lasts: what the system says to that is ENOTDIR. */
async function broken(...zones: readonly string[]): Promise<AsyncDisposable> {
  const caches = await Promise.all(zones.map(async (zone) => (await cacheIn(zone)) ?? ""));
  for (const cache of caches) {
    await rename(cache, `${cache}-aside`);
    await writeFile(cache, "");
  }
  return {
    async [Symbol.asyncDispose]() {
      for (const cache of caches) {
        await rm(cache);
        await rename(`${cache}-aside`, cache);
      }
    },
  };
}

const workersSay = async (): Promise<string> => {
  const files = (await readdir(system.home.logs)).filter((name) => name.startsWith("worker"));
  return (await Promise.all(files.map((name) => readFile(join(system.home.logs, name), "utf8")))).join("");
};

test.each(ZONES)(
  "what the host in zone %s can't make is made in the other, and nobody is told but the worker's log",
  async (zone) => {
    await using _ = await broken(zone);
    const isLogged = async () => {
      const { name, replies } = await invokeNew(`elsewhere-${zone}`);
      for (const reply of replies) expect([reply.headers?.get(ERROR), reply.string()]).toEqual(["", '"done"']);
      const said = (await workersSay()).split("\n").find((line) => line.includes(`"fn":"${name}"`)) ?? "";
      return said.includes("the host could not make a sandbox") && said.includes("ENOTDIR");
    };
    await vi.waitUntil(isLogged, { timeout: 20_000 });
  },
  30_000,
);

test("where somebody has removed what workers had unpacked, it is unpacked again, also for what runs already", async () => {
  const { name } = await invokeNew("unpacked");
  for (const zone of ZONES) await rm((await cacheIn(zone)) ?? "", { recursive: true });
  const more = await Promise.all(Array.from({ length: 6 }, () => invoke(name, { ms: 500 })));
  const fresh = await invokeNew("unpacked");
  for (const reply of [...more, ...fresh.replies])
    expect([reply.headers?.get(ERROR), reply.headers?.get(FUNCTION_ERROR), reply.string()]).toEqual(["", "", '"done"']);
  const faults = (await workersSay()).split("\n").filter((line) => line.includes("could not make"));
  expect(faults.filter((line) => line.includes('"fn":"unpacked'))).toEqual([]);
});

describe("where no host can make it", () => {
  test("who waits is told a fault of the service, by name, and not one of the function", async () => {
    await deploy(platform, { name: "nowhere", files: { ...FILES, "unique.txt": "nowhere" } });
    await using _ = await broken(...ZONES);
    const { headers } = await invoke("nowhere", {});
    expect(headers?.get(ERROR)).toBe("ServiceException: the sandbox could not be started: ENOTDIR");
    expect([headers?.get(ERROR_CODE), headers?.has(FUNCTION_ERROR)]).toEqual(["500", false]);
  });

  test("an event waits, with all its attempts, and runs once one can", async () => {
    const name = "later";
    await deploy(platform, { name, files: { ...FILES, "unique.txt": name } });
    // A single error of the function's would be the end of it.
    await api(platform, "PutFunctionEventInvokeConfig", { FunctionName: name, MaximumRetryAttempts: 0 });
    const setbacks = person.subscribe("mayfly.state.event.*");
    const lines = platform.subscribe(Log.subject({ acct: DEFAULT_ACCOUNT, fn: name }));
    {
      await using _ = await broken(...ZONES);
      await person.request(`mayfly.async.${name}`, JSON.stringify({ run: "at last" }));
      let retried = 0;
      for await (const message of setbacks) {
        if (message.json<Transition>().to === "retrying") retried += 1;
        if (retried === 2) break;
      }
    }
    for await (const line of lines) if (line.string().includes("ran at last")) break;
  });
});
