/** One life of a plain process and of all it starts, as far as they can be found. */
import { type ChildProcess, spawn } from "node:child_process";
import { type Duplex, PassThrough, type Readable, type Writable } from "node:stream";
import { setTimeout as wait } from "node:timers/promises";
import { begun } from "../begun.ts";
import type { Cgroup } from "../cgroups/cgroup.ts";
import { type Booted, BootFailed, type Exit } from "../driver.ts";
import { GATE, OPEN } from "../gate.ts";

export interface LifeSpec {
  /** The driver instance's name. */
  readonly instance: string;
  /** As the host has it. */
  readonly command: readonly string[];
  readonly cgroup: Cgroup;
}

const ENVIRONMENT = { PATH: process.env.PATH ?? "/usr/local/bin:/usr/bin:/bin", LANG: "C.UTF-8" };

/** Begins a life. Rejects with `BootFailed` when no process can be made. */
export async function beginLife({ instance, command, cgroup }: LifeSpec): Promise<Booted> {
  const oomKillsBefore = await cgroup.oomKills();
  await cgroup.resetPeak();
  // A process group of its own, so that what it starts can be ended with it where there are no groups of the kernel's.
  const child = await begun(() =>
    spawn("/bin/sh", ["-c", GATE, instance, ...command], {
      env: ENVIRONMENT,
      detached: true,
      stdio: ["ignore", "pipe", "pipe", "pipe", "pipe"],
    }),
  );
  const [, out, err, channel, gate] = child.stdio as unknown as [null, Readable, Readable, Duplex, Writable];
  for (const stream of [out, err, channel, gate]) stream.on("error", () => {});
  const [stdout, stderr] = [out.pipe(new PassThrough()), err.pipe(new PassThrough())];
  const gone = new Promise<{ code: number | null; signal: string | null }>((resolve) => {
    child.once("exit", (code, signal) => resolve({ code, signal }));
  });
  const obstacle = await cgroup.join(child.pid).catch((error: Error) => error);
  if (obstacle) {
    child.kill("SIGKILL");
    await gone;
    throw new BootFailed(obstacle.message);
  }
  gate.end(OPEN);

  let killing = false;
  const exited = gone.then(async ({ code, signal }): Promise<Exit> => {
    await endRest(child, cgroup);
    const outOfMemory = !killing && (await cgroup.oomKills()) > oomKillsBefore;
    return { code, signal, outOfMemory, started: true };
  });
  return {
    channel,
    stdout,
    stderr,
    exited,
    async kill() {
      if (child.exitCode === null && child.signalCode === null) {
        killing = true;
        await cgroup.kill();
        signalGroup(child, "SIGKILL");
        await cgroup.thaw().catch(() => {});
      }
      await exited;
    },
  };
}

/** Ends what outlived the first process, and waits until its process group is empty. */
async function endRest(child: ChildProcess, cgroup: Cgroup): Promise<void> {
  await cgroup.kill();
  for (let pause = 1; signalGroup(child, "SIGKILL"); pause = Math.min(2 * pause, 20)) await wait(pause);
}

/** False when there is no process in the group any more. */
function signalGroup({ pid }: ChildProcess, signal: NodeJS.Signals): boolean {
  try {
    return pid !== undefined && process.kill(-pid, signal);
  } catch {
    return false;
  }
}
