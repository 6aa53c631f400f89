/**
 * A sandbox's user namespace, made by the sandbox's own user of the host. What processes in a user namespace take of what
 * is counted by user (inotify's instances and watches, namespaces, waiting signals) the kernel counts against whoever made
 * it, too: were that the runtime, which is root, one sandbox could take all that the host's root may have, and with it
 * every other sandbox's.
 *
 * The worker holds it by a descriptor, and the runtime joins it by that one's path: however the worker ends, it is gone.
 */
import { spawn } from "node:child_process";
import { closeSync, openSync, writeFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { begun } from "../begun.ts";

export interface UserNamespace {
  /** As long as it isn't closed. */
  readonly path: string;
  close(): void;
}

export interface UserNamespaceSpec {
  /** util-linux's. */
  readonly unshare: string;
  /** The driver instance's name, by which its watchdog finds processes. */
  readonly instance: string;
  /** Its maker, and the maker's group. */
  readonly uid: number;
  /** Of users and groups alike, inside and on the host. */
  readonly map: ReadonlyArray<readonly [number, number]>;
}

/** Says that it is in there, and waits: for its end, which the worker's would bring about, too. */
const STAY = "echo; read -r _";

/** Rejects, leaving nothing, with what was said where there can be none. */
export async function makeUserNamespace({ unshare, instance, uid, map }: UserNamespaceSpec): Promise<UserNamespace> {
  const args = ["--user", "--", "/bin/sh", "-c", STAY, instance];
  const maker = await begun(() =>
    spawn(unshare, args, { env: {}, cwd: "/", stdio: ["pipe", "pipe", "pipe"], uid, gid: uid }),
  );
  const { stdin, stdout, stderr } = maker;
  for (const stream of [stdin, stdout, stderr]) stream.on("error", () => {});
  const complaint = text(stderr).catch(() => "");
  const isMade = await new Promise<boolean>((resolve) => {
    stdout.once("data", () => resolve(true));
    maker.once("close", () => resolve(false));
  });
  if (!isMade) throw new Error((await complaint).trim() || `${unshare} ended without a word`);
  try {
    const descriptor = openSync(`/proc/${maker.pid}/ns/user`, "r");
    try {
      const lines = map.map(([inside, onHost]) => `${inside} ${onHost} 1\n`).join("");
      for (const file of ["uid_map", "gid_map"]) writeFileSync(`/proc/${maker.pid}/${file}`, lines);
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
    return { path: `/proc/${process.pid}/fd/${descriptor}`, close: () => closeSync(descriptor) };
  } finally {
    maker.kill("SIGKILL");
  }
}
