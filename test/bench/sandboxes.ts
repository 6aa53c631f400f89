/**
 * Sandboxes without a network around them: `node test/bench/sandboxes.ts [driver] [--quick]`. How long one takes to be made, against
 * a bare start of the same interpreter in turn; how many can be made in a second; a round trip to the runtime inside, hot
 * and out of a freeze; and the memory of one that waits.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { chooseDriver, type DriverRequest } from "../../actors/sandbox/drivers/choose.ts";
import type { Booted, Enclosure, EnclosureSpec, SandboxDriver } from "../../actors/sandbox/drivers/driver.ts";
import { hasPrivateMounts, privateMountsIfAllowed } from "../../actors/sandbox/drivers/private-mounts.ts";
import { encodeEvent, encodeInit } from "../../actors/sandbox/frames.ts";
import type { RuntimeInit } from "../../actors/sandbox/runtime-init.ts";
import { type ResolvedRuntime, resolveRuntime } from "../../actors/sandbox/runtimes/catalogue.ts";
import { enclosureFor } from "../../actors/sandbox/world.ts";
import { firstByte } from "./cold.ts";
import { median, ms, times } from "./figures.ts";

const quick = process.argv.includes("--quick");
const [request = "auto"] = process.argv.slice(2).filter((word) => !word.startsWith("--"));
const ROUNDS = quick ? 9 : 31;
const AT_ONCE = 4;
const CROWD = quick ? 20 : 100;
const MEMORY_MIB = 128;
const MIB = 1024 * 1024;
const say = (text: string) => process.stdout.write(`${text}\n`);

interface Subject {
  readonly name: string;
  readonly runtime: string;
  /** Its interpreter, printing one byte. */
  readonly bare: readonly string[];
}
const SUBJECTS: readonly Subject[] = [
  { name: "Node", runtime: "nodejs24.x", bare: [process.execPath, "-e", "process.stdout.write('x')"] },
  { name: "Python", runtime: "python3.11", bare: ["/usr/bin/python3", "-c", "print('x', flush=True)"] },
];
const HANDLER: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  Node: { "index.js": "exports.handler = async (event) => event;\n" },
  Python: { "index.py": "def handler(event, context):\n    return event\n" },
};

if (!hasPrivateMounts()) {
  const [program = process.execPath, ...before] = await privateMountsIfAllowed();
  const self = [...process.execArgv, import.meta.filename, ...process.argv.slice(2)];
  const args = program === process.execPath ? self : [...before, process.execPath, ...self];
  const child = spawn(program, args, { stdio: "inherit" });
  process.exit((await once(child, "exit"))[0] ?? 1);
}

const folder = await mkdtemp(join(tmpdir(), "mayfly-bench-"));
const { driver, isolation } = await chooseDriver(request as DriverRequest);
let made = 0;
try {
  for (const subject of SUBJECTS) await bench(subject);
  if (isolation.lacks.length > 0) say(`\n${isolation.driver} lacks: ${isolation.lacks.join(" ")}`);
} finally {
  await driver.close();
  await rm(folder, { recursive: true, force: true });
}

async function bench({ name, runtime, bare }: Subject): Promise<void> {
  const { command, mounts, overheadMiB } = await resolved(runtime);
  const code = { from: await written(name), to: "/var/task" };
  const spec = (placed: boolean): EnclosureSpec => {
    made += 1;
    const place = placed ? [...mounts, code] : mounts;
    const of = enclosureFor(
      `bench-${made}`,
      { memoryMiB: MEMORY_MIB, tmpMiB: 512 },
      { mounts: place, command, overheadMiB },
    );
    return placed ? of : { ...of, latePlaces: ["/var/task"] };
  };
  const init = () => encodeInit(initOf(runtime));
  const taken: number[] = [];
  const [bares, mades, hots, frozens] = [[], [], [], []] as [number[], number[], number[], number[]];
  for (let round = 0; round < ROUNDS; round++) {
    bares.push(await firstByte(bare));
    const stem = isolation.latePlacement ? await waiting(spec(false)) : undefined;
    const fresh = { began: performance.now(), it: await started(spec(true)) };
    await answered(fresh.it.booted, init());
    await answered(fresh.it.booted, event());
    mades.push(performance.now() - fresh.began);
    for (let call = 0; call < 20; call++) hots.push(await timed(() => answered(fresh.it.booted, event())));
    if (isolation.freezes) {
      await fresh.it.enclosure.freeze();
      frozens.push(
        await timed(async () => {
          const answer = answered(fresh.it.booted, event());
          await fresh.it.enclosure.thaw();
          await answer;
        }),
      );
    }
    await fresh.it.enclosure.destroy();
    if (stem === undefined) continue;
    taken.push(
      await timed(async () => {
        await stem.enclosure.placeCode([code]);
        await answered(stem.booted, init());
        await answered(stem.booted, event());
      }),
    );
    await stem.enclosure.destroy();
  }
  const [bareMs, madeMs, hotMs] = [median(bares), median(mades), median(hots)];
  const label = `${isolation.driver}, ${name}`;
  say(
    `${label}: first answer of one made for it ${times(madeMs / bareMs)} a bare start (${ms(madeMs)}; bare ${ms(bareMs)})`,
  );
  if (taken.length > 0) {
    const takenMs = median(taken);
    say(`${label}: first answer from a stem cell ${times(takenMs / bareMs)} a bare start (${ms(takenMs)})`);
  }
  say(`${label}: round trip to the runtime ${ms(hotMs)} hot`);
  if (frozens.length > 0)
    say(`${label}: out of a freeze ${times(median(frozens) / hotMs)} that (${ms(median(frozens))})`);
  await benchCrowd(label, () => spec(true), init);
}

/** As a worker has it that has run for a moment: what is to be compiled of it, is. */
async function resolved(runtime: string): Promise<ResolvedRuntime> {
  for (;;) {
    const found = await resolveRuntime(runtime, { home: folder, memoryMiB: MEMORY_MIB });
    if (!runtime.startsWith("python") || found.runtimeDir.startsWith(folder)) return found;
    await setTimeout(50);
  }
}

async function benchCrowd(label: string, spec: () => EnclosureSpec, init: () => Buffer): Promise<void> {
  const crowd: Array<{ enclosure: Enclosure; booted: Booted }> = [];
  const began = performance.now();
  const make = async () => {
    while (crowd.length < CROWD) {
      const place = crowd.push(await started(spec())) - 1;
      await answered(crowd[place]?.booted as Booted, init());
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, make));
  const seconds = (performance.now() - began) / 1000;
  const used = await Promise.all(crowd.map(({ enclosure }) => enclosure.stats()));
  const each = used.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0) / crowd.length / MIB;
  say(`${label}: ${(crowd.length / seconds).toFixed(1)} made in a second, ${AT_ONCE} at a time`);
  if (each > 0) say(`${label}: ${each.toFixed(1)} MiB each while idle, ${Math.floor(1024 / each)} in a GiB`);
  await Promise.all(crowd.map(({ enclosure }) => enclosure.destroy()));
}

async function started(spec: EnclosureSpec): Promise<{ enclosure: Enclosure; booted: Booted }> {
  const enclosure = await (driver as SandboxDriver).create(spec);
  const booted = await enclosure.boot();
  booted.stdout.resume();
  booted.stderr.resume();
  return { enclosure, booted };
}

/** Booted so long ago that its interpreter is up: it has stopped using the processor. */
async function waiting(spec: EnclosureSpec): Promise<{ enclosure: Enclosure; booted: Booted }> {
  const stem = await started(spec);
  let used = -1;
  for (;;) {
    const { memoryBytes } = await stem.enclosure.stats();
    if (memoryBytes > 0 && memoryBytes === used) return stem;
    used = memoryBytes;
    await setTimeout(50);
  }
}

async function written(name: string): Promise<string> {
  const place = join(folder, name);
  await mkdir(place);
  for (const each of [folder, place]) await chmod(each, 0o755);
  for (const [file, text] of Object.entries(HANDLER[name] ?? {})) await writeFile(join(place, file), text);
  return place;
}

function initOf(runtime: string): RuntimeInit {
  return {
    env: { PATH: "/usr/bin:/bin" },
    handler: "index.handler",
    runtime,
    taskRoot: "/var/task",
    functionName: "bench",
    functionVersion: "1",
    memoryMiB: MEMORY_MIB,
    logFormat: "Text",
  };
}

function event(): Buffer {
  const header = { requestId: "bench", deadlineMs: Date.now() + 60_000, invokedFunctionArn: "arn:bench" };
  return encodeEvent(header, Buffer.from("{}"));
}

/** The next thing it says after `frame`. */
async function answered({ channel }: Booted, frame: Buffer): Promise<void> {
  const answer = once(channel, "data");
  channel.write(frame);
  await answer;
}

async function timed(step: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await step();
  return performance.now() - began;
}
