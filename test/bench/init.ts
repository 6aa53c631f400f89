/**
 * Init of a function of real size, where its worker keeps bytecode and where it doesn't, in turn: `node test/bench/init.ts
 * [--quick]`. As the receipt says it, and from the caller's request to its answer.
 */
import type { NatsConnection } from "nats";
import { RECEIPT, START } from "../../subjects/headers.ts";
import { configure, deploy } from "../support/functions.ts";
import { type RunningSystem, startMayfly } from "../support/system.ts";
import { bundle } from "./bundle.ts";
import { firstByte } from "./cold.ts";
import { median, ms, times } from "./figures.ts";

const SAMPLES = process.argv.includes("--quick") ? 7 : 25;
/** Other sandboxes of the version make it; nobody is told when. */
const SETTLING = 4;
const say = (text: string) => process.stdout.write(`${text}\n`);

interface Place {
  readonly system: RunningSystem;
  readonly nats: NatsConnection;
  readonly initsMs: number[];
  readonly answersMs: number[];
}

async function placeWith(env: Readonly<Record<string, string>>, file: string): Promise<Place> {
  const system = await startMayfly({ env: { MAYFLY_ZONES: "a", ...env } });
  const nats = await system.connect("platform");
  await deploy(nats, { name: "bundle", files: { "index.js": file }, memory: 512, timeout: 30 });
  return { system, nats, initsMs: [], answersMs: [] };
}

let revision = 0;
async function sample({ nats, initsMs, answersMs }: Place, counts: boolean): Promise<void> {
  await configure(nats, "bundle", { Environment: { Variables: { REVISION: String(revision++) } } });
  const began = performance.now();
  const reply = await nats.request("mayfly.invoke.bundle", "{}", { timeout: 30_000 });
  const tookMs = performance.now() - began;
  const init = /init=(\d+)/.exec(reply.headers?.get(RECEIPT) ?? "");
  if (reply.headers?.get(START) !== "cold" || init === null) throw new Error(`not cold: ${reply.string()}`);
  if (!counts) return;
  initsMs.push(Number(init[1]) / 1000);
  answersMs.push(tookMs);
}

const file = bundle();
const bares: number[] = [];
const [kept, plain] = [await placeWith({}, file), await placeWith({ MAYFLY_BYTECODE: "0" }, file)];
try {
  for (let round = 0; round < SETTLING + SAMPLES; round++) {
    bares.push(await firstByte([process.execPath, "-e", "process.stdout.write('x')"]));
    for (const each of [kept, plain]) await sample(each, round >= SETTLING);
  }
} finally {
  for (const { system } of [kept, plain]) await system[Symbol.asyncDispose]();
}
const [keptMs, plainMs] = [median(kept.initsMs), median(plain.initsMs)];
const [answeredMs, plainAnsweredMs] = [median(kept.answersMs), median(plain.answersMs)];
say(
  `init of a bundle of ${(file.length / 1e6).toFixed(1)} MB: with kept bytecode ${times(keptMs / plainMs)} without ` +
    `(${ms(keptMs)}, ${ms(plainMs)}; bare start ${ms(median(bares))})`,
);
say(
  `its first answer, from the request on: ${times(answeredMs / plainAnsweredMs)} (${ms(answeredMs)}, ${ms(plainAnsweredMs)})`,
);
