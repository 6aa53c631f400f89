/**
 * slirp4netns: a process that takes what a sandbox sends from a tap device in its namespace, and opens the connections on
 * the host as any program would. It needs neither forwarding nor translation by the host.
 *
 * It reads packets made by an enemy, so it is shut in itself: it sees nothing of the host but /usr and where to ask for
 * names, has no capability once the tap is made, and belongs to the sandbox's group, by which the host knows its packets.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import type { Duplex, Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { begun } from "../begun.ts";
import { killQuietly } from "../cgroups/files.ts";
import type { Attachment } from "./network.ts";
import { LINK } from "./rules.ts";

export interface SlirpSpec {
  readonly slirp4netns: string;
  readonly bwrap: string;
  /** util-linux's, undefined where it is missing. */
  readonly prlimit: string | undefined;
  /** Top-level names besides /usr, as in the sandbox's own profile: a link's target, or null for a folder. */
  readonly topLevel: ReadonlyMap<string, string | null>;
  /** The instance's name: an argument of its own on the command line, by which its watchdog finds the process. */
  readonly name: string;
  /** The open network namespace. */
  readonly namespace: number;
  /** The group to run as; undefined to keep our own. */
  readonly gid: number | undefined;
}

/** Each connection holds one, and 256 KiB. */
const OPEN_FILES = 1024;
/** What it takes to enter the namespace, make the tap, and shut itself in; it gives up all but the last. */
const CAPABILITIES = ["CAP_SYS_ADMIN", "CAP_NET_ADMIN", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE"];

/** Resolves when the tap is up and served. Rejects with its last words when it can't be. */
export async function startSlirp(spec: SlirpSpec): Promise<Attachment> {
  const [program = "", ...args] = command(spec);
  const child = await begun(() =>
    spawn(program, args, {
      env: {},
      cwd: "/",
      stdio: ["ignore", "ignore", "pipe", spec.namespace, "pipe", "pipe"],
      ...(spec.gid === undefined ? {} : { gid: spec.gid }),
    }),
  );
  const [, , err, , ready, hold] = child.stdio as unknown as [null, null, Readable, null, Readable, Duplex];
  for (const stream of [err, ready, hold]) stream.on("error", () => {});
  const words = text(err).catch(() => "");
  const ended = new Promise<string>((resolve) => {
    child.once("exit", (code, signal) => resolve(signal ?? `exit status ${code}`));
  });
  const isReady = new Promise<true>((resolve) => ready.once("data", () => resolve(true)));
  const failure = await Promise.race([isReady, ended]);
  if (failure !== true) {
    hold.destroy();
    throw new Error(`slirp4netns: ${lastLine(await words) || failure}`);
  }
  ready.destroy();
  const inner = await childrenOf(child);
  let detaching = false;
  const lost = new Promise<string>((resolve) => {
    void ended.then((how) => {
      if (!detaching) resolve(`slirp4netns ended (${how})`);
    });
  });
  return {
    // Not the outer one, whose only work is to reap these.
    pids: inner,
    lost,
    async detach() {
      detaching = true;
      // It would leave with the descriptor, but not while it is frozen.
      hold.destroy();
      if (child.exitCode === null && child.signalCode === null) for (const pid of inner) killQuietly(pid);
      await ended;
    },
  };
}

function command({ slirp4netns, bwrap, prlimit, topLevel, name }: SlirpSpec): string[] {
  const limits = prlimit === undefined ? [] : [prlimit, `--nofile=${OPEN_FILES}`, "--core=1", "--"];
  return [
    ...limits,
    ...[bwrap, "--setenv", "MAYFLY", name, "--die-with-parent", "--new-session"],
    ...["--unshare-pid", "--as-pid-1", "--unshare-ipc", "--unshare-uts", "--clearenv"],
    ...["--cap-drop", "ALL", ...CAPABILITIES.flatMap((each) => ["--cap-add", each])],
    ...["--ro-bind", "/usr", "/usr"],
    ...[...topLevel].flatMap(([path, target]) =>
      target === null ? ["--ro-bind", path, path] : ["--symlink", target, path],
    ),
    ...["--proc", "/proc", "--dev", "/dev", "--dev-bind", "/dev/net/tun", "/dev/net/tun"],
    ...["--dir", "/etc", "--ro-bind-try", "/etc/resolv.conf", "/etc/resolv.conf", "--dir", "/run", "--dir", "/tmp"],
    ...["--chdir", "/", "--", slirp4netns, "--configure", "--mtu=65520", `--cidr=${LINK.cidr}`],
    ...["--disable-host-loopback", "--enable-sandbox", "--enable-seccomp", "--ready-fd=4", "--exit-fd=5"],
    ...["--netns-type=path", "/proc/self/fd/3", "tap0"],
  ];
}

/** Killed by these, the outer process ends by itself. */
async function childrenOf({ pid }: ChildProcess): Promise<number[]> {
  const listed = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
  return listed.split(" ").filter(Boolean).map(Number);
}

const lastLine = (words: string): string => words.trim().split("\n").at(-1) ?? "";
