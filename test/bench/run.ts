/**
 * `npm run bench`: the whole system in processes of its own, measured from outside against what the same machine does bare
 * in the same minute. Ratios come first: absolutes are the machine's.
 */
import { spawn } from "node:child_process";
import type { NatsConnection } from "nats";
import { credentialsOf } from "../../bin/embedded/credentials.ts";
import { readRunning } from "../../bin/running.ts";
import { UserInvoke } from "../../subjects/invoke.ts";
import { api, configure, deploy, HELLO_NODE, HELLO_PYTHON } from "../support/functions.ts";
import { startMayfly } from "../support/system.ts";
import { benchCold, coldAbsolutes, coldRatio } from "./cold.ts";
import { benchDensity } from "./density.ts";
import { benchDurable } from "./durable.ts";
import { benchIdle } from "./idle.ts";
import { benchWarm, warmAbsolutes, warmRatios } from "./warm.ts";

const SANDBOXES = 8;
const PAYLOAD = '{"name":"Ada"}';
const quick = process.argv.includes("--quick");
const say = (text: string) => process.stdout.write(`${text}\n`);

await using system = await startMayfly({ env: { MAYFLY_WORKER_MEMORY: String((SANDBOXES / 2) * 128) } });
const connection = await system.connect("platform");
const running = await readRunning(system.home);
const { platform } = await credentialsOf(system.home);

const echoSubject = "bench.echo";
const echo = spawn(
  process.execPath,
  [new URL("echo.ts", import.meta.url).pathname, running?.url ?? "", platform.user, platform.password, echoSubject],
  { stdio: ["pipe", "pipe", "inherit"] },
);
await new Promise((resolve) => echo.stdout.once("data", resolve));

const functions = [
  { name: "hello", files: HELLO_NODE },
  { name: "hello-python", files: HELLO_PYTHON, runtime: "python3.11" },
];
for (const each of functions) await deploy(connection, each);

const warm = await benchWarm(connection, {
  echo: echoSubject,
  invoke: UserInvoke.subject({ fn: "hello" }),
  payload: PAYLOAD,
  rounds: quick ? 3 : 7,
  requests: quick ? { 1: 300, 16: 2000, 64: 4000 } : { 1: 1000, 16: 6000, 64: 12_000 },
});
let revision = 0;
const cold = [];
const stemless = await startMayfly({ env: { MAYFLY_STEM_CELLS: "0" } });
const elsewhere = await stemless.connect("platform");
for (const each of functions) await deploy(elsewhere, each);
for (const [name, fn, bare] of [
  ["Node", "hello", [process.execPath, "-e", "process.stdout.write('x')"]],
  ["Python", "hello-python", ["/usr/bin/python3", "-c", "print('x', flush=True)"]],
] as const) {
  const at = (connection: NatsConnection) => ({
    connection,
    revise: () => configure(connection, fn, { Environment: { Variables: { REVISION: String(revision++) } } }),
  });
  const invoke = UserInvoke.subject({ fn });
  const [withStems, withoutStems] = [at(connection), at(elsewhere)];
  const samples = quick ? 7 : 25;
  cold.push(await benchCold({ name, bare, invoke, payload: PAYLOAD, samples, withStems, withoutStems }));
}
await stemless[Symbol.asyncDispose]();

const idle = await benchIdle(connection, {
  functions: quick ? 100 : 1000,
  home: system.home,
  watchMs: quick ? 2000 : 10_000,
});
const CLOCK = { "index.mjs": "export const handler = async () => performance.timeOrigin + performance.now();\n" };
const SLOW = { "index.mjs": "export const handler = () => new Promise((resolve) => setTimeout(resolve, 1000));\n" };
await deploy(connection, { name: "clock", files: CLOCK });
await deploy(connection, { name: "slow", files: SLOW });
await api(connection, "PutFunctionEventInvokeConfig", {
  FunctionName: "clock",
  DestinationConfig: { OnSuccess: { Destination: "arn:aws:nats:::subject/bench.done.clock" } },
});
await api(connection, "PutFunctionQueueConfig", { FunctionName: "slow", MaximumConcurrency: 2 });
await deploy(connection, { name: "parked", files: HELLO_NODE });
await api(connection, "PutFunctionQueueConfig", { FunctionName: "parked", Paused: true });
const durable = await benchDurable(connection, {
  fn: "hello",
  parked: "parked",
  clock: "clock",
  slow: "slow",
  rounds: quick ? 1 : 3,
  events: quick ? 3000 : 10_000,
  crowd: quick ? 20_000 : 100_000,
});

const density = await benchDensity({
  few: 10,
  many: quick ? 60 : 1000,
  requests: quick ? 300 : 1000,
  rounds: quick ? 3 : 7,
  watchMs: quick ? 5000 : 10_000,
});

for (const each of warm) say(warmRatios(each));
for (const each of cold) say(coldRatio(each));
for (const each of durable) say(each);
say(idle);
for (const each of density) say(each);
say("");
for (const each of warm) say(warmAbsolutes(each));
for (const each of cold) say(coldAbsolutes(each));
say(`\n${SANDBOXES} sandboxes; ${/isolation: .*/.exec(system.output())?.[0] ?? ""}`);
echo.stdin.end();

for (const each of [new URL("init.ts", import.meta.url), new URL("sandboxes.ts", import.meta.url)]) {
  const alone = spawn(process.execPath, [each.pathname, ...process.argv.slice(2)], { stdio: "inherit" });
  await new Promise((resolve) => alone.once("exit", resolve));
}
