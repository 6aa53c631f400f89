/**
 * The last one to leave: removes what a driver instance left, whether it ended well, was killed, or died long ago.
 *
 * A small shell waits for the end of its input, which the kernel brings about even when the worker is killed with
 * SIGKILL. It then kills every process of the instance, removes its packet filter and its cgroups, takes down its
 * mounts, deletes its folder. Bubblewrap's own --die-with-parent is not enough: a sandbox that is just starting when its
 * parent dies can miss it (known upstream). Starting the same shell with no input at all is how a new worker reaps a
 * dead one's leftovers.
 */
import { spawn } from "node:child_process";
import { readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isLeftover } from "./instance.ts";

/** What an instance owns, by name and by place. */
export interface Estate {
  /** The instance's name: an argument of its own on the command line of every sandbox's first process. */
  readonly name: string;
  /** The folder everything of it lies in, mounts included. */
  readonly folder: string;
  /** Its folder in each cgroup hierarchy; each sandbox's cgroup is a child of it. */
  readonly cgroups: readonly string[];
}

/**
 * Everything comes by environment, so that the shell's own command line doesn't match what it searches. After a sudden
 * end it looks thrice, some time apart: a process that was just being started has its command line a moment later.
 */
const script = `
# Whoever ends a service signals each of its processes; this one ends when the worker has.
trap '' TERM INT HUP
silences=3
while read -r word; do [ "$word" = done ] && silences=1; done
tries=0
while [ $tries -lt 150 ]; do
  pids=$(
    printf %s "$NAME" | grep -lzxFf - /proc/[0-9]*/cmdline 2>/dev/null | cut -d/ -f3
    printf '%s\\n' "$CGROUPS" | while read -r group; do
      [ -n "$group" ] && cat "$group"/*/cgroup.procs 2>/dev/null | grep -vx 0
    done
  )
  if [ -z "$pids" ]; then
    silences=$((silences - 1))
    [ $silences -le 0 ] && break
  else
    kill -9 $pids 2>/dev/null
    # The first generation's freezer holds also the killed.
    printf '%s\\n' "$CGROUPS" | while read -r group; do
      for state in "$group"/*/freezer.state; do [ -w "$state" ] && echo THAWED >"$state"; done
    done
  fi
  tries=$((tries + 1))
  sleep 0.02
done
nft delete table inet "$NAME" 2>/dev/null
printf '%s\\n' "$CGROUPS" | while read -r group; do
  [ -n "$group" ] && rmdir "$group"/*/ "$group" 2>/dev/null
done
while read -r _ _ _ _ at _; do
  case $at in "$FOLDER"/*) umount "$at" || umount -l "$at" ;; esac
done </proc/self/mountinfo 2>/dev/null
grep -qF " $FOLDER/" /proc/self/mountinfo || rm -rf "$FOLDER"
exit 0
`;

/** A watchdog over a living instance. */
export interface Watchdog {
  readonly pid: number;
  /** Lets it clean up now. Resolves when it has. */
  dismiss(): Promise<void>;
}

/** Sets a watchdog over `estate`; it outlives this process by as long as the cleaning takes. */
export function setWatchdog(estate: Estate): Watchdog {
  const child = spawn("/bin/sh", ["-c", script], {
    env: {
      PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
      NAME: estate.name,
      FOLDER: estate.folder,
      CGROUPS: estate.cgroups.join("\n"),
    },
    stdio: ["pipe", "ignore", "ignore"],
    // A session of its own: what ends the worker's process group must not end its watchdog.
    detached: true,
    cwd: "/",
  });
  child.unref();
  child.stdin.on("error", () => {});
  (child.stdin as unknown as { unref?(): void }).unref?.();
  const ended = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
    child.once("error", () => resolve());
  });
  return {
    pid: child.pid ?? 0,
    dismiss() {
      child.ref();
      child.stdin.end("done\n");
      return ended;
    },
  };
}

/** Removes what instances whose owners are gone left below `home` and beside the cgroups of the living one. */
export async function reapLeftovers(home: string, cgroups: readonly string[]): Promise<string[]> {
  const parents = cgroups.map(dirname);
  const listings = await Promise.all([home, ...parents].map((folder) => readdir(folder).catch(() => [])));
  const names = [...new Set(listings.flat())];
  const leftover = await Promise.all(names.map(isLeftover));
  const dead = names.filter((_, index) => leftover[index]);
  await Promise.all(
    dead.map((name) =>
      setWatchdog({ name, folder: join(home, name), cgroups: parents.map((parent) => join(parent, name)) }).dismiss(),
    ),
  );
  return dead;
}
