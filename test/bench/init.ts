/**
 * Init of a function of real size, where its worker keeps bytecode and where it doesn't, in turn: `node test/bench/init.ts
 * [--quick]`. As the receipt says it, and from the caller's request to its answer.
 */
import type { NatsConnection } from "nats";
import { RECEIPT, START } from "../../subjects/headers.ts";
import { configure, deploy } from "../support/functions.ts";
import { type RunningSystem, startMayfly } from "../support/system.ts";
import { bundles } from "./bundle.ts";
import { firstByte } from "./cold.ts";
import { median, ms, times } from "./figures.ts";

const SAMPLES = process.argv.includes("--quick") ? 8 : 24;
/** Other sandboxes of the version make it; nobody is told when. */
const SETTLING = 4;
const say = (text: string) => process.stdout.write(`${text}\n`);

interface Place {
  readonly system: RunningSystem;
  readonly nats: NatsConnection;
}

interface Times {
  readonly initsMs: number[];
  readonly answersMs: number[];
}

const { commonJs, esModule } = bundles();
const FORMATS = [
  { name: "CommonJS", fn: "common", files: { "index.js": commonJs } },
  { name: "an ES module", fn: "module", files: { "index.mjs": esModule } },
];

async function placeWith(env: Readonly<Record<string, string>>): Promise<Place> {
  const system = await startMayfly({ env: { MAYFLY_ZONES: "a", ...env } });
  const nats = await system.connect("platform");
  for (const { fn: name, files } of FORMATS) await deploy(nats, { name, files, memory: 512, timeout: 30 });
  return { system, nats };
}

let revision = 0;
async function sample({ nats }: Place, fn: string, into: Times | undefined): Promise<void> {
  await configure(nats, fn, { Environment: { Variables: { REVISION: String(revision++) } } });
  const began = performance.now();
  const reply = await nats.request(`mayfly.invoke.${fn}`, "{}", { timeout: 30_000 });
  const tookMs = performance.now() - began;
  const init = /init=(\d+)/.exec(reply.headers?.get(RECEIPT) ?? "");
  if (reply.headers?.get(START) !== "cold" || init === null) throw new Error(`not cold: ${reply.string()}`);
  into?.initsMs.push(Number(init[1]) / 1000);
  into?.answersMs.push(tookMs);
}

const bares: number[] = [];
const noTimes = (): Times => ({ initsMs: [], answersMs: [] });
const taken = FORMATS.map((format) => ({ ...format, kept: noTimes(), plain: noTimes() }));
const [keeping, plain] = [await placeWith({}), await placeWith({ MAYFLY_BYTECODE: "0" })];
const turns = taken.flatMap(({ fn, kept, plain: without }) => [
  { place: keeping, fn, into: kept },
  { place: plain, fn, into: without },
]);
/** Each in every place, from the front and from the back: what one leaves to be done (a stem cell) is in the way of the next. */
function orderOf(round: number): typeof turns {
  const from = round % turns.length;
  const order = [...turns.slice(from), ...turns.slice(0, from)];
  return Math.floor(round / turns.length) % 2 === 0 ? order : order.reverse();
}
try {
  for (let round = 0; round < SETTLING + SAMPLES; round++) {
    bares.push(await firstByte([process.execPath, "-e", "process.stdout.write('x')"]));
    for (const { place, fn, into } of orderOf(round)) await sample(place, fn, round < SETTLING ? undefined : into);
  }
} finally {
  for (const { system } of [keeping, plain]) await system[Symbol.asyncDispose]();
}
const ratio = (kept: readonly number[], without: readonly number[]): string =>
  `${times(median(kept) / median(without))} without (${ms(median(kept))}, ${ms(median(without))})`;
const size = (commonJs.length / 1e6).toFixed(1);
for (const { name, kept, plain } of taken) {
  say(`init of a bundle of ${size} MB, ${name}: with kept bytecode ${ratio(kept.initsMs, plain.initsMs)}`);
  say(`its first answer, from the request on: ${ratio(kept.answersMs, plain.answersMs)}`);
}
say(`a bare start of Node.js meanwhile: ${ms(median(bares))}`);
