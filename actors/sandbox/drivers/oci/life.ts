/**
 * One life of a sandbox made by an OCI runtime: from `run` to the last of its processes gone.
 *
 * The runtime stays as the parent of the sandbox's first process, which waits on the channel until it is in its group and
 * has the network it is to have.
 * Where the runtime is itself a part of the sandbox, a shell joins the group first and then becomes the runtime.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, readFile, rm } from "node:fs/promises";
import { constants } from "node:os";
import { join } from "node:path";
import { type Duplex, PassThrough, type Readable, type Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { setTimeout as wait } from "node:timers/promises";
import { begun } from "../begun.ts";
import { isCalledAt } from "../callers.ts";
import { killQuietly } from "../cgroups/files.ts";
import { type Booted, BootFailed, type Exit } from "../driver.ts";
import { type Attachment, EgressUnavailable } from "../egress/network.ts";
import { GATE, OPEN } from "../gate.ts";
import { endWithNetwork, type Settling, settle } from "../settle.ts";
import { GO, STANDS } from "./first-process.ts";
import type { FoundRuntime } from "./runtimes.ts";
import { endStragglers } from "./stragglers.ts";
import { isCalledWithin } from "./within.ts";

export interface LifeSpec extends Settling {
  /** The driver instance's name, by which its watchdog finds processes. */
  readonly instance: string;
  /** What the runtime calls the sandbox: the same, so that the watchdog finds the runtime, or one that no other has. */
  readonly id: string;
  readonly runtime: FoundRuntime;
  /** To be put before its command. */
  readonly limits: readonly string[];
  /** Holds `config.json`. */
  readonly bundle: string;
}

/**
 * Begins a life. Rejects, leaving nothing, with `BootFailed` when the runtime can't make the sandbox, with
 * `EgressUnavailable` when it can't have its network.
 */
export async function beginLife(spec: LifeSpec): Promise<Booted> {
  const { cgroup, runtime } = spec;
  const register = join(spec.bundle, "register");
  await rm(register, { recursive: true, force: true });
  await mkdir(register);
  const oomKillsBefore = await cgroup.oomKills();
  await cgroup.resetPeak();
  const child = await begun(() => spawnRuntime(spec, register));
  const [, out, err, channel, gate] = child.stdio as unknown as [null, Readable, Readable, Duplex, Writable];
  for (const stream of [out, err, channel, gate]) stream.on("error", () => {});
  const [stdout, stderr] = [out.pipe(new PassThrough()), err.pipe(new PassThrough())];
  const gone = new Promise<{ code: number | null; signal: string | null }>((resolve) => {
    child.once("exit", (code, signal) => resolve({ code, signal }));
  });
  const cleared = gone.then(async (ending) => {
    if (runtime.channel === "input") await endStragglers(spec.bundle);
    await rm(register, { recursive: true, force: true });
    return ending;
  });

  let firstPid: number | undefined;
  let attachment: Attachment | undefined;
  const stands = async () => {
    if (runtime.channel === "input") await cgroup.join(child.pid);
    gate.end(OPEN);
    const stood = await firstByte(channel);
    firstPid = stood ? await pidIn(join(register, "pid"), gone) : undefined;
    if (firstPid === undefined) return false;
    if (runtime.channel === "descriptor") attachment = await settle(spec, firstPid);
    return true;
  };
  const standing = await stands().catch((error: Error) => error);
  if (standing !== true) {
    // The runtime ends by itself once the first process, and with it all others, is gone: killed, it might be gone sooner.
    killQuietly(firstPid ?? child.pid);
    await cleared;
    if (standing instanceof EgressUnavailable) throw standing;
    const reasons = [(await text(stderr)).trim(), standing === false ? "" : standing.message];
    throw new BootFailed(reasons.filter(Boolean).join("; ") || `${runtime.name} ended without a word`);
  }
  channel.write(GO);

  let killing = false;
  const isOver = () => killing || child.exitCode !== null || child.signalCode !== null;
  if (firstPid !== undefined) endWithNetwork(attachment, { firstPid, stderr, isOver });
  const exited = cleared.then(async ({ code, signal }): Promise<Exit> => {
    await attachment?.detach();
    const outOfMemory = !killing && (await cgroup.oomKills()) > oomKillsBefore;
    // A kernel in user space that was killed tells nothing of what ran in it.
    const killed = killing || (outOfMemory && runtime.channel === "input");
    const ending = killed ? { code: null, signal: "SIGKILL" } : code === null ? { code, signal } : asTold(code);
    return { ...ending, outOfMemory, started: true };
  });
  return {
    channel,
    stdout,
    stderr,
    exited,
    // A kernel in user space keeps its network to itself.
    isCalledAt: (port) =>
      runtime.channel === "input" || firstPid === undefined
        ? isCalledWithin(runtime, { root: rootIn(register), id: spec.id }, port)
        : isCalledAt(firstPid, port),
    async kill() {
      if (child.exitCode === null && child.signalCode === null) {
        killing = true;
        await cgroup.kill();
        // The first process of the pid namespace: the kernel takes all the others with it, and then the runtime ends.
        if (child.exitCode === null && child.signalCode === null && firstPid !== undefined) killQuietly(firstPid);
        await cgroup.thaw().catch(() => {});
      }
      await exited;
    },
  };
}

/** Where the runtime keeps what it knows of the sandbox. */
const rootIn = (register: string): string => join(register, "of");

/** Of a runtime that hands on no descriptor but the first three, the channel becomes the input. */
const GATE_TO_INPUT = `${GATE} 0<&3 3<&-`;

function spawnRuntime({ instance, id, runtime, limits, bundle }: LifeSpec, register: string): ChildProcess {
  const run = ["--root", rootIn(register), "run", "--bundle", bundle, "--pid-file", join(register, "pid")];
  const words =
    runtime.channel === "input"
      ? ["/bin/sh", "-c", GATE_TO_INPUT, instance, ...runtime.command, ...run, id]
      : [...limits, ...runtime.command, ...run, "--preserve-fds", "1", id];
  const [program = "", ...args] = words;
  const child = spawn(program, args, {
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
    cwd: "/",
    // Never the host's /dev/null: crun makes what it gets as input, output and error the sandbox user's own.
    stdio: ["pipe", "pipe", "pipe", "pipe", "pipe"],
  });
  child.stdin?.on("error", () => {}).end();
  return child;
}

/** Takes the first process's word off the channel; false when the channel ends before. What follows it stays in there. */
function firstByte(channel: Duplex): Promise<boolean> {
  return new Promise((resolve) => {
    const look = () => {
      const word: Buffer | null = channel.read(STANDS.length);
      if (word === null && !channel.readableEnded && !channel.destroyed) return;
      for (const event of ["readable", "end", "close"]) channel.off(event, look);
      resolve(word !== null);
    };
    for (const event of ["readable", "end", "close"]) channel.on(event, look);
  });
}

/** Runtimes write the file about when the sandbox's first process begins, some of them a little later. */
async function pidIn(file: string, gone: Promise<unknown>): Promise<number | undefined> {
  let ended = false;
  void gone.then(() => {
    ended = true;
  });
  for (;;) {
    const pid = Number.parseInt(await readFile(file, "utf8").catch(() => ""), 10);
    if (pid > 0) return pid;
    if (ended) return undefined;
    await wait(1);
  }
}

/** The first process tells a death by signal n as exit code 128 + n, as shells do. */
function asTold(code: number): { code: number | null; signal: string | null } {
  const signal = Object.entries(constants.signals).find(([, number]) => number === code - 128)?.[0];
  return signal ? { code: null, signal } : { code, signal: null };
}
