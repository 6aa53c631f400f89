/**
 * One runtime's sandboxes under one driver: how long one takes to be made, against a bare start of the same interpreter in
 * turn; a round trip to the runtime inside, hot, and what freezing adds; how many can be made in a second; and the memory
 * of one that waits.
 */

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import type {
  Booted,
  Enclosure,
  EnclosureSpec,
  Isolation,
  SandboxDriver,
} from "../../actors/sandbox/drivers/driver.ts";
import { onHost } from "../../actors/sandbox/drivers/process/paths.ts";
import { encodeEvent, encodeInit, FrameDecoder, type RuntimeFrame } from "../../actors/sandbox/frames.ts";
import { resolveRuntime } from "../../actors/sandbox/runtimes/catalogue.ts";
import { enclosureFor } from "../../actors/sandbox/world.ts";
import { firstByte } from "./cold.ts";
import { initOf, MEMORY_MIB, type Subject } from "./sandbox-subjects.ts";

export interface SandboxPlan {
  readonly driver: SandboxDriver;
  readonly isolation: Isolation;
  readonly subject: Subject;
  /** The host's folder that holds the subject's code. */
  readonly code: string;
  /** Where runtimes were installed. */
  readonly home: string;
  readonly rounds: number;
  readonly crowd: number;
}

/** Times in ms, one a round, but for the hot round trips, many a round. */
export interface SandboxFigures {
  readonly bare: readonly number[];
  readonly made: readonly number[];
  /** None where there are no stem cells. */
  readonly stem: readonly number[];
  readonly hot: readonly number[];
  /** None where nothing freezes. */
  readonly freeze: readonly number[];
  readonly thawed: readonly number[];
  readonly perSecond: number;
  /** In MiB: of the sandbox's group, 0 where nothing counts it; and of processes outside that live as long as it. */
  readonly within: number;
  readonly beside: number;
}

const AT_ONCE = 4;
const HOT_CALLS = 20;
const MIB = 1024 * 1024;
let made = 0;

interface Running {
  readonly enclosure: Enclosure;
  /** The runtime's answer to `frame`. */
  say(frame: Buffer): Promise<RuntimeFrame>;
}

export async function measure(plan: SandboxPlan): Promise<SandboxFigures> {
  const { driver, isolation, subject, home, rounds } = plan;
  const { command, mounts, overheadMiB } = await resolveRuntime(subject.runtime, {
    home,
    compiled: join(home, "compiled"),
    memoryMiB: MEMORY_MIB,
  });
  const code = { from: plan.code, to: "/var/task" };
  const size = { memoryMiB: MEMORY_MIB, tmpMiB: 512 };
  const whole = () => begin(driver, enclosureFor(name(), size, { mounts: [...mounts, code], command, overheadMiB }));
  const empty = () =>
    begin(driver, { ...enclosureFor(name(), size, { mounts, command, overheadMiB }), latePlaces: [code.to] });
  const root = isolation.ownRoot ? code.to : onHost(code.to, [code]);
  const init = encodeInit(initOf(subject.runtime, root, isolation.namespaces.includes("net")));

  const times = { bare: [], made: [], stem: [], hot: [], freeze: [], thawed: [] } as Record<string, number[]> as {
    [K in "bare" | "made" | "stem" | "hot" | "freeze" | "thawed"]: number[];
  };
  for (let round = 0; round < rounds; round++) {
    times.bare.push(await firstByte(subject.bare));
    const stem = isolation.latePlacement ? await waiting(await empty()) : undefined;
    const began = performance.now();
    const fresh = await whole();
    await fresh.say(init);
    await fresh.say(event());
    times.made.push(performance.now() - began);
    for (let call = 0; call < HOT_CALLS; call++) times.hot.push(await timed(() => fresh.say(event())));
    if (isolation.freezes) {
      times.freeze.push(await timed(() => fresh.enclosure.freeze()));
      times.thawed.push(
        await timed(async () => {
          const answer = fresh.say(event());
          await fresh.enclosure.thaw();
          await answer;
        }),
      );
    }
    await fresh.enclosure.destroy();
    if (stem === undefined) continue;
    times.stem.push(
      await timed(async () => {
        await stem.enclosure.placeCode([code]);
        await stem.say(init);
        await stem.say(event());
      }),
    );
    await stem.enclosure.destroy();
  }
  return { ...times, ...(await crowded(plan.crowd, whole, init)) };
}

async function crowded(size: number, make: () => Promise<Running>, init: Buffer) {
  const crowd: Running[] = [];
  const [before, began] = [await besides(), performance.now()];
  let left = size;
  const fill = async () => {
    while (left > 0) {
      left -= 1;
      const one = await make();
      crowd.push(one);
      await one.say(init);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, fill));
  const perSecond = (size / (performance.now() - began)) * 1000;
  const used = await Promise.all(crowd.map(({ enclosure }) => enclosure.stats()));
  const within = used.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0) / size / MIB;
  const beside = Math.max(0, (await besides()) - before) / size / MIB;
  await Promise.all(crowd.map(({ enclosure }) => enclosure.destroy()));
  return { perSecond, within, beside };
}

async function begin(driver: SandboxDriver, spec: EnclosureSpec): Promise<Running> {
  const enclosure = await driver.create(spec);
  const { channel, stdout, stderr }: Booted = await enclosure.boot();
  stdout.resume();
  let complaint = "";
  stderr.on("data", (piece) => {
    complaint += piece;
  });
  const decoder = new FrameDecoder();
  let tell: { resolve(frame: RuntimeFrame): void; reject(error: Error): void } | undefined;
  channel.on("data", (piece: Buffer) => {
    const { frames, error } = decoder.push(piece);
    const frame = frames.find(({ type }) => type !== "log");
    if (error) tell?.reject(error);
    else if (frame?.type === "initError" || frame?.type === "error") tell?.reject(new Error(String(frame.payload)));
    else if (frame !== undefined) tell?.resolve(frame);
  });
  channel.once("close", () => tell?.reject(new Error(`it ended: ${complaint}`)));
  return {
    enclosure,
    say: (frame) =>
      new Promise((resolve, reject) => {
        tell = { resolve, reject };
        channel.write(frame);
      }),
  };
}

/** Booted so long ago that its interpreter is up: it takes no more memory. */
async function waiting(stem: Running): Promise<Running> {
  let used = -1;
  for (;;) {
    const { memoryBytes } = await stem.enclosure.stats();
    if (memoryBytes > 0 && memoryBytes === used) return stem;
    used = memoryBytes;
    await setTimeout(50);
  }
}

/** Bytes of this process's children that are in no group but its own. */
async function besides(): Promise<number> {
  const read = (pid: string, file: string) => readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "");
  const ours = await read("self", "cgroup");
  const all = (await readdir("/proc")).filter((each) => /^\d+$/.test(each));
  const shares = await Promise.all(
    all.map(async (pid) => {
      const parent = /^PPid:\s+(\d+)/m.exec(await read(pid, "status"))?.[1];
      if (parent !== String(process.pid) || (await read(pid, "cgroup")) !== ours) return 0;
      return Number(/^Pss:\s+(\d+) kB/m.exec(await read(pid, "smaps_rollup"))?.[1] ?? 0) * 1024;
    }),
  );
  return shares.reduce((sum, each) => sum + each, 0);
}

const name = (): string => {
  made += 1;
  return `bench-${made}`;
};

const event = (): Buffer =>
  encodeEvent(
    { requestId: "bench", deadlineMs: Date.now() + 60_000, invokedFunctionArn: "arn:bench" },
    Buffer.from("{}"),
  );

async function timed(step: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await step();
  return performance.now() - began;
}
