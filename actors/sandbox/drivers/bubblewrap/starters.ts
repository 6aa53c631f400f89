/**
 * Processes that wait to become a sandbox's bubblewrap, each as a user of its own and in a group of its own already: a
 * join waits 8 to 12 ms for the kernel, and a start has no time for that. What is born of such a process is in the group
 * from its first moment.
 *
 * Each is a small shell (no interpreter, no mounts; of limits those that all have), made in the background a moment after
 * one was taken. One is used for one life of one sandbox, and what it held, its user and group, stays that sandbox's until the end.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Writable } from "node:stream";
import { begun } from "../begun.ts";
import type { Cgroup } from "../cgroups/cgroup.ts";
import { KeptReady } from "../kept-ready.ts";
import type { Premises } from "../premises.ts";
import type { Berth } from "../reserve.ts";
import type { Launch } from "./launcher.ts";

/** The descriptors bubblewrap is given; only the channel is left for the program. */
export const descriptors = { channel: 3, args: 4, seccomp: 5, status: 6, block: 7 } as const;
const ORDER = 8;

/**
 * Reads how many processes its user may have (empty: no limit of its own), the number of words and the words, one a line, and
 * becomes what it was started with and they say; the descriptor isn't handed on. A shell limits processes by -u or by -p:
 * the other letter is unknown to it, or nothing that can be set.
 */
const script = `
read -r processes <&${ORDER} && read -r count <&${ORDER} || exit 125
[ -z "$processes" ] || ulimit -u "$processes" 2>/dev/null || ulimit -p "$processes" || exit 125
while [ "$count" -gt 0 ]; do
  IFS= read -r word <&${ORDER} || exit 125
  set -- "$@" "$word"
  count=$((count - 1))
done
exec ${ORDER}<&-
exec "$@"
`;

/** How bubblewrap, or what becomes it, is started. Empty environment: that of its first process inside can be read there. */
export function spawnWith(
  [program = "", ...args]: readonly string[],
  { uid, argsFile, seccompFile }: { uid: number | undefined; argsFile: string; seccompFile: string },
  more: readonly "pipe"[] = [],
): ChildProcess {
  const files = [argsFile, seccompFile].map((path) => openSync(path, "r"));
  const [options = 0, seccomp = 0] = files;
  try {
    return spawn(program, args, {
      env: {},
      cwd: "/",
      stdio: ["ignore", "pipe", "pipe", "pipe", options, seccomp, "pipe", "pipe", ...more],
      ...(uid === undefined ? {} : { uid, gid: uid }),
    });
  } finally {
    for (const fd of files) closeSync(fd);
  }
}

export interface Starter extends Berth {
  /** Empty: to be written before `start`, never replaced. */
  readonly argsFile: string;
  /** The process, now bubblewrap of `command`; undefined where it has ended, was started before, or a word has a line feed. */
  start(launch: Pick<Launch, "processes" | "command">): ChildProcess | undefined;
}

type StartersOptions = Pick<Premises, "name" | "folder" | "cgroups" | "uids"> & {
  readonly seccompFile: string;
  /** Sets the limits that all have, and becomes what follows. */
  readonly limits: readonly string[];
  /** What they become, up to and including `--`. */
  readonly bubblewrap: readonly string[];
  /** How many are kept ready. */
  readonly ready: number;
};

export class Starters {
  readonly #options: StartersOptions;
  readonly #ready: KeptReady<Starter>;
  #made = 0;

  constructor(options: StartersOptions) {
    this.#options = options;
    const { ready } = options;
    this.#ready = new KeptReady({ ready, make: () => this.#make(), end: (starter) => starter.close() });
  }

  /** One that waits, now the caller's; undefined where there is none, and it has to be done without. */
  take(): Starter | undefined {
    return this.#ready.take();
  }

  /** Ends those nobody took. */
  close(): Promise<void> {
    return this.#ready.close();
  }

  async #make(): Promise<Starter> {
    const { name, folder, cgroups, uids, seccompFile, limits, bubblewrap } = this.#options;
    this.#made += 1;
    const argsFile = join(folder, "own", `starter-${this.#made}`);
    const uid = uids?.take();
    let cgroup: Cgroup | undefined;
    let child: ChildProcess | undefined;
    const close = async () => {
      child?.kill("SIGKILL");
      await cgroup?.remove();
      if (uid !== undefined) uids?.giveBack(uid);
      await rm(argsFile, { force: true });
    };
    try {
      [cgroup] = await Promise.all([cgroups.create(), writeFile(argsFile, "")]);
      // The instance's name is how the watchdog finds this process, before it is in its group and after.
      const command = [...limits, "/bin/sh", "-c", script, name, ...bubblewrap];
      const waiting = await begun(() => spawnWith(command, { uid, argsFile, seccompFile }, ["pipe"]));
      child = waiting;
      keepAlive(waiting, false);
      await cgroup.join(waiting.pid);
      return { uids: uid === undefined ? [] : [uid], cgroup, argsFile, start: starting(waiting), close };
    } catch (error) {
      await close();
      throw error;
    }
  }
}

function starting(child: ChildProcess): Starter["start"] {
  let isStarted = false;
  const order = (child.stdio as ReadonlyArray<unknown>)[ORDER] as Writable;
  for (const stream of child.stdio) stream?.on("error", () => {});
  return ({ processes = "", command }) => {
    if (isStarted || child.exitCode !== null || child.signalCode !== null) return undefined;
    if (command.some((word) => word.includes("\n"))) {
      child.kill("SIGKILL");
      return undefined;
    }
    isStarted = true;
    keepAlive(child, true);
    order.end(`${processes}\n${command.length}\n${command.join("\n")}\n`);
    return child;
  };
}

/** One that only waits keeps nobody from ending. */
function keepAlive(child: ChildProcess, isNeeded: boolean): void {
  for (const each of [child, ...child.stdio] as unknown as Array<{ ref?(): void; unref?(): void } | null>) {
    if (isNeeded) each?.ref?.();
    else each?.unref?.();
  }
}
