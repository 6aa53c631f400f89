/**
 * One life of a sandbox's processes: from the spawn of bubblewrap to the last of them gone.
 *
 * Bubblewrap builds the namespaces, tells the pid of its first process inside, and waits; that process is put into its
 * group, if it wasn't born there, and given its network, and only then let go. So nothing of the function ever runs
 * without its limits.
 */
import { constants } from "node:os";
import { type Duplex, PassThrough, type Readable, type Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { begun } from "../begun.ts";
import { isCalledAt } from "../callers.ts";
import type { Cgroup } from "../cgroups/cgroup.ts";
import { killQuietly } from "../cgroups/files.ts";
import { type Booted, BootFailed, type Exit } from "../driver.ts";
import { type Attachment, EgressUnavailable } from "../egress/network.ts";
import { endWithNetwork, type Settling, settle } from "../settle.ts";
import type { Launch } from "./launcher.ts";
import { type Starter, spawnWith } from "./starters.ts";

export interface LifeSpec extends Settling, Launch {
  /** The user to become before anything else; undefined to stay. */
  readonly uid: number | undefined;
  /** Files read by bubblewrap: its options, separated by NUL, and the filter. */
  readonly argsFile: string;
  readonly seccompFile: string;
  /** In the group already; for the first life, where there was one. */
  readonly starter: Starter | undefined;
}

/** Begins a life. Rejects with `BootFailed`, leaving nothing behind, when bubblewrap can't build the sandbox. */
export async function beginLife(spec: LifeSpec): Promise<Booted> {
  const started = spec.starter?.start(spec);
  // What has a starter has a new group, in which nothing has happened.
  const oomKillsBefore = started === undefined ? await oomKillsOf(spec.cgroup) : 0;
  const words = [...spec.limits, ...spec.bubblewrap, ...spec.command];
  const child = started ?? (await begun(() => spawnWith(words, spec)));
  const [, out, err, channel, , , status, block] = child.stdio as unknown as [
    null,
    Readable,
    Readable,
    Duplex,
    null,
    null,
    Readable,
    Writable,
  ];
  // A peer that goes away is told by the streams' end and by `exited`; an error event nobody hears would end the worker.
  for (const stream of [out, err, channel, status, block]) stream.on("error", () => {});
  // Node throws away what nobody has begun to read when a child exits; what went through here is kept.
  const [stdout, stderr] = [out.pipe(new PassThrough()), err.pipe(new PassThrough())];
  // Born in its group and without a network, it has nothing to wait for.
  const isFree = started !== undefined && spec.network === undefined;
  if (isFree) block.end("1");
  const reports = readReports(status);
  const gone = new Promise<{ code: number | null; signal: string | null }>((resolve) => {
    child.once("exit", (code, signal) => resolve({ code, signal }));
  });

  const innerPid = await Promise.race([reports.childPid, gone.then(() => undefined)]);
  let attachment: Attachment | undefined;
  const obstacle =
    innerPid === undefined
      ? undefined
      : await settle(spec, innerPid, started !== undefined).then(
          (attached) => {
            attachment = attached;
          },
          (error: Error) => error,
        );
  if (innerPid === undefined || obstacle) {
    if (innerPid !== undefined) killQuietly(innerPid);
    await gone;
    if (obstacle instanceof EgressUnavailable) throw obstacle;
    const reasons = [(await text(stderr)).trim(), obstacle?.message];
    throw new BootFailed(reasons.filter(Boolean).join("; ") || "bubblewrap ended without a word");
  }
  if (!isFree) block.end("1");

  let killing = false;
  const isOver = () => killing || child.exitCode !== null || child.signalCode !== null;
  endWithNetwork(attachment, { firstPid: innerPid, stderr, isOver });
  const exited = gone.then(async (outer): Promise<Exit> => {
    await attachment?.detach();
    const inner = await reports.exitCode;
    const code = inner ?? outer.code;
    const ending = code === null ? { code, signal: outer.signal } : asTold(code);
    const outOfMemory = !killing && (await spec.cgroup.oomKills()) > oomKillsBefore;
    // Bubblewrap's outer process says nothing any more when it is killed with all the others in its group.
    return { ...ending, outOfMemory, started: inner !== undefined || killing || outOfMemory };
  });
  return {
    channel,
    stdout,
    stderr,
    exited,
    isCalledAt: (port) => isCalledAt(innerPid, port),
    async kill() {
      if (child.exitCode === null && child.signalCode === null) {
        killing = true;
        // Where it was born in the group, bubblewrap's outer process is in there too, and would be gone before the rest is.
        if (started === undefined) await spec.cgroup.kill();
        // The first process of the pid namespace: the kernel takes all the others with it, and bubblewrap's outer
        // process, its parent, ends once they are gone. Never that one first: the inner one might survive it.
        if (child.exitCode === null && child.signalCode === null) killQuietly(innerPid);
        await spec.cgroup.thaw().catch(() => {});
      }
      await exited;
    },
  };
}

/** Up to now, from when on its peak counts. */
async function oomKillsOf(cgroup: Cgroup): Promise<number> {
  const [oomKills] = await Promise.all([cgroup.oomKills(), cgroup.resetPeak()]);
  return oomKills;
}

/** What bubblewrap tells on `--json-status-fd`: first the inner pid; the exit code only if the program ran. */
function readReports(status: Readable): { childPid: Promise<number>; exitCode: Promise<number | undefined> } {
  let told = "";
  const childPid = new Promise<number>((resolve) => {
    status.setEncoding("utf8").on("data", (piece: string) => {
      told += piece;
      // Written in pieces: the first object is whole once it is closed.
      const pid = /"child-pid":\s*(\d+)[^}]*\}/.exec(told)?.[1];
      if (pid) resolve(Number(pid));
    });
  });
  const exitCode = new Promise<number | undefined>((resolve) => {
    status.once("close", () => {
      const code = /"exit-code":\s*(\d+)/.exec(told)?.[1];
      resolve(code === undefined ? undefined : Number(code));
    });
  });
  return { childPid, exitCode };
}

/** Bubblewrap tells a death by signal n as exit code 128 + n, as shells do. */
function asTold(code: number): { code: number | null; signal: string | null } {
  const signal = Object.entries(constants.signals).find(([, number]) => number === code - 128)?.[0];
  return signal ? { code: null, signal } : { code, signal: null };
}
