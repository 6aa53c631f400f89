/** What the API has answered, or tells as Successful, is what the next invoke runs: with several front ends too. */
import type { Msg, NatsConnection } from "nats";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { Followed } from "../../subjects/followed.ts";
import { api, configure, deploy } from "../support/functions.ts";
import { type Beside, type RunningSystem, runBeside, startMayfly } from "../support/system.ts";

const ROUNDS = 15;

let system: RunningSystem;
let beside: Beside;
let person: NatsConnection;
let platform: NatsConnection;

beforeAll(async () => {
  system = await startMayfly({ env: { MAYFLY_ZONES: "a" } });
  [person, platform] = [await system.connect(), await system.connect("platform")];
  await deploy(platform, {
    name: "told",
    files: { "index.mjs": "export const handler = () => process.env.ROUND ?? 'none';\n" },
    environment: { ROUND: "0" },
  });
  const followers = new Set<string>();
  const heard = platform.subscribe(Followed.subject(), { callback: (_, { subject }) => void followers.add(subject) });
  beside = runBeside(system, "frontend", "frontend");
  const fromFrontends = () => [...followers].filter((each) => each.includes("frontend")).length;
  await vi.waitUntil(() => fromFrontends() === 3, { timeout: 20_000 });
  heard.unsubscribe();
}, 60_000);
afterAll(async () => {
  await beside?.[Symbol.asyncDispose]();
  await system?.[Symbol.asyncDispose]();
});

const invoke = (): Promise<Msg> => person.request("mayfly.invoke.told", "{}", { timeout: 30_000 });
/** As many as reach each front end. */
const invokes = async (what: (reply: Msg) => unknown) =>
  new Set((await Promise.all(Array.from({ length: 9 }, invoke))).map(what));

test("a configuration whose update is Successful is the one that runs", async () => {
  for (let round = 1; round <= ROUNDS; round++) {
    await configure(person, "told", { Environment: { Variables: { ROUND: String(round) } } });
    expect(await invokes((reply) => reply.json())).toEqual(new Set([String(round)]));
  }
}, 60_000);

test("a function whose concurrency is set to 0 is throttled from the answer on, and no longer from the other answer on", async () => {
  const code = (reply: Msg) => reply.headers?.get("Nats-Service-Error-Code") || "200";
  for (let round = 1; round <= ROUNDS; round++) {
    await api(person, "PutFunctionConcurrency", { FunctionName: "told", ReservedConcurrentExecutions: 0 });
    expect(await invokes(code)).toEqual(new Set(["429"]));
    await api(person, "DeleteFunctionConcurrency", { FunctionName: "told" });
    expect(await invokes(code)).toEqual(new Set(["200"]));
  }
}, 60_000);
