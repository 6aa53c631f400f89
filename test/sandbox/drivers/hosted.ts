/** Starts test workers in each of the situations a worker may be in, talks to them, and looks at what they leave. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, globSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { chmod, chown, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chooseDriver, driverNames } from "../../../actors/sandbox/drivers/choose.ts";
import type { DriverName, EnclosureSpec, Isolation } from "../../../actors/sandbox/drivers/driver.ts";
import { privateMountsCommand } from "../../../actors/sandbox/drivers/private-mounts.ts";
import { ORDINARY_USER } from "../../support/ordinary-user.ts";
import { lackingIf } from "../../support/unless.ts";
import type { EgressSettings, Requests } from "./worker.ts";

export interface Situation {
  readonly title: string;
  readonly driver: DriverName;
  readonly privateMounts: boolean;
  /** The user to start the worker as; undefined for the tests' own. */
  readonly uid?: number;
  /** What else to put before the worker's command, as root. */
  readonly enter?: readonly string[];
  readonly egress?: EgressSettings;
  /** A home that an earlier worker left; by default one of its own. */
  readonly home?: string;
}

const isRoot = process.geteuid?.() === 0;

/** The drivers that were found to make sandboxes here, and why the others don't. Trying them costs a sandbox each. */
const tried = await Promise.all(
  driverNames.map(async (driver) => {
    const home = await mkdtemp(join(tmpdir(), "mayfly-can-isolate-"));
    await chmod(home, 0o711);
    try {
      const chosen = await chooseDriver(driver, { home });
      await chosen.driver.close();
      return { driver, isolation: chosen.isolation };
    } catch (error) {
      return { driver, refusal: (error as Error).message };
    } finally {
      await rm(home, { recursive: true, force: true });
    }
  }),
);

/** Those that isolate. */
export const isolating: readonly DriverName[] = tried.flatMap(({ driver, isolation }) =>
  isolation?.ownRoot ? [driver] : [],
);

/** Why this host can't isolate at all, and the suites are skipped; undefined where it can. */
export const noIsolation = lackingIf(
  isolating.length === 0,
  `nothing isolates here: ${tried.map(({ refusal }) => refusal).join("; ")}`,
);
export const canIsolate = noIsolation === undefined;

const bubblewrap: readonly Situation[] = isRoot
  ? [
      { title: "root", driver: "bubblewrap", privateMounts: false },
      { title: "root in private mounts", driver: "bubblewrap", privateMounts: true },
      { title: "an ordinary user", driver: "bubblewrap", privateMounts: false, uid: ORDINARY_USER },
      { title: "an ordinary user in private mounts", driver: "bubblewrap", privateMounts: true, uid: ORDINARY_USER },
    ]
  : [
      { title: "an ordinary user", driver: "bubblewrap", privateMounts: false },
      { title: "an ordinary user in private mounts", driver: "bubblewrap", privateMounts: true },
    ];

/** The situation workers are in that `mayfly up` starts. */
const usual = (driver: DriverName): Situation => ({
  title: `${isRoot ? "root" : "an ordinary user"} in private mounts, with ${driver},`,
  driver,
  privateMounts: true,
});

/**
 * What is tried with every driver: bubblewrap, the default, in each situation a worker may be in; each other driver of
 * this host in the usual one; and the one OCI runtime that ordinary users can use as one of them.
 */
export const situations: readonly Situation[] = [
  ...bubblewrap.filter(({ driver }) => isolating.includes(driver)),
  ...isolating.filter((driver) => driver !== "bubblewrap").map(usual),
  ...(isRoot && isolating.includes("oci:crun")
    ? [
        {
          title: "an ordinary user with oci:crun",
          driver: "oci:crun" as const,
          privateMounts: false,
          uid: ORDINARY_USER,
        },
      ]
    : []),
];

/** Those of `situations` in which what all drivers have in common is tried again: an ordinary user's only with bubblewrap. */
export const usualSituations = situations.filter(({ driver, uid }) => driver === "bubblewrap" || uid === undefined);

export class Hosted {
  readonly isolation: Promise<Isolation>;
  readonly home: string;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<
    number,
    (answer: { value?: unknown; error?: { name: string; message: string } }) => void
  >();
  #calls = 0;

  private constructor(child: ChildProcess, home: string, driver: DriverName, egress: EgressSettings) {
    this.#child = child;
    this.home = home;
    child.on("message", (answer: { number: number; value?: unknown }) => this.#waiting.get(answer.number)?.(answer));
    child.once("exit", () => {
      for (const settle of this.#waiting.values()) settle({ error: { name: "Gone", message: "the worker ended" } });
    });
    this.isolation = this.ask("open", home, driver, egress);
    this.isolation.catch(() => {});
  }

  static async start(situation: Situation, env: Record<string, string> = {}): Promise<Hosted> {
    const home = situation.home ?? (await mkdtemp(join(tmpdir(), "mayfly-driver-")));
    await chmod(home, 0o711);
    if (situation.uid !== undefined) await chown(home, situation.uid, situation.uid);
    const { uid, enter = [], egress = {} } = situation;
    const as =
      enter.length === 0 || uid === undefined ? [] : ["setpriv", `--reuid=${uid}`, `--regid=${uid}`, "--clear-groups"];
    const before = [...enter, ...as, ...(situation.privateMounts ? privateMountsCommand(uid) : [])];
    const [program = "", ...args] = [...before, process.execPath, fileURLToPath(import.meta.resolve("./worker.ts"))];
    const child = spawn(program, args, {
      env: { PATH: process.env.PATH, ...env },
      cwd: "/",
      // A stray descriptor far above the others, as shells and editors leave them.
      stdio: ["ignore", "inherit", "inherit", "ipc", ...Array(36).fill("ignore"), "pipe"],
      ...(uid === undefined || as.length > 0 ? {} : { uid, gid: uid }),
    });
    const hosted = new Hosted(child, home, situation.driver, egress);
    await hosted.isolation;
    return hosted;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  ask<Name extends keyof Requests>(
    name: Name,
    ...args: Parameters<Requests[Name]>
  ): Promise<ReturnType<Requests[Name]>> {
    this.#calls += 1;
    const number = this.#calls;
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, ({ value, error }) => {
        this.#waiting.delete(number);
        if (error) reject(Object.assign(new Error(error.message), { name: error.name }));
        else resolve(value as ReturnType<Requests[Name]>);
      });
      this.#child.send({ call: { name, args }, number }, (error) => {
        if (error) this.#waiting.get(number)?.({ error });
      });
    });
  }

  async killHard(): Promise<void> {
    const gone = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await gone;
  }

  /** The worker's child that isn't a sandbox: a shell with the instance's name in its environment. */
  async signalWatchdog(signal: NodeJS.Signals): Promise<void> {
    const children = readQuietly(`/proc/${this.pid}/task/${this.pid}/children`).trim().split(" ");
    const watchdog = children.find((pid) => readQuietly(`/proc/${pid}/environ`).includes("CGROUPS="));
    process.kill(Number(watchdog), signal);
  }

  /** Ends the worker and everything of it, however the test went. */
  async end(): Promise<void> {
    if (this.#isAlive()) {
      const gone = once(this.#child, "exit");
      await this.ask("close").catch(() => this.#child.kill("SIGKILL"));
      await gone;
    }
    await rm(this.home, { recursive: true, force: true });
  }

  /**
   * What of this worker's driver is to be seen on the host now; all zero when nothing is. While it lives, what only waits
   * to become a sandbox isn't one's trace.
   */
  traces(): { processes: number; mounts: number; cgroups: number; folders: number } {
    const mark = this.#mark();
    return {
      processes: this.#processes().filter((pid) => !this.#isAlive() || !isWaiting(pid)).length,
      mounts: mountsOf(this.pid).filter((line) => line.includes(this.home)).length,
      cgroups: globSync("/sys/fs/cgroup/**/mayfly-*").filter((path) => mark.test(path)).length,
      folders: existsSync(this.home) ? readdirSync(this.home).length : 0,
    };
  }

  /** Of its mounts, those that are described so. */
  mounts(like: RegExp): readonly string[] {
    return mountsOf(this.pid).filter((line) => like.test(line));
  }

  /** The host's users that this worker's sandboxes run as. */
  owners(): Set<string> {
    // Not what stays outside and only waits for one.
    const inside = this.#processes().filter((pid) => linkQuietly(`/proc/${pid}/ns/pid`) !== ownPids);
    const status = inside.map((pid) => readQuietly(`/proc/${pid}/status`));
    return new Set(status.map((text) => /^Uid:\s+(\d+)/m.exec(text)?.[1] ?? "gone"));
  }

  /** Host pids of its driver's processes that have `word` on their command line. */
  processes(word: RegExp): number[] {
    return this.#processes()
      .filter((pid) => word.test(readQuietly(`/proc/${pid}/cmdline`)))
      .map(Number);
  }

  /** Its folders of groups, those without children last. */
  emptyGroups(): string[] {
    const mark = this.#mark();
    const groups = globSync("/sys/fs/cgroup/**/mayfly-*").filter((path) => mark.test(path));
    return groups.flatMap((group) => [...globSync(`${group}/*/`), group]);
  }

  #isAlive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  #mark(): RegExp {
    return new RegExp(`mayfly-\\d+-${this.pid}-`);
  }

  /** Bubblewrap's, which are the first of every sandbox; not the watchdog, which has the name elsewhere. */
  #processes(): string[] {
    const mark = this.#mark();
    return readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && mark.test(readQuietly(`/proc/${pid}/cmdline`)));
  }
}

export const noTraces = { processes: 0, mounts: 0, cgroups: 0, folders: 0 };

const readQuietly = (path: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
};
const linkQuietly = (path: string): string => {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
};
/** As bubblewrap/starters.ts has it on its command line. */
const isWaiting = (pid: string): boolean => readQuietly(`/proc/${pid}/cmdline`).includes("read -r count <&8");
const ownPids = linkQuietly("/proc/self/ns/pid");
const mountsOf = (pid: number): string[] => readQuietly(`/proc/${pid}/mountinfo`).split("\n").filter(Boolean);

let made = 0;

/** An enclosure that runs `command`, small unless said otherwise, with Node at /var/lang/bin/node. */
export function enclosure(command: readonly string[], changes: Partial<EnclosureSpec> = {}): EnclosureSpec {
  made += 1;
  return {
    id: `test-${made}`,
    memoryMiB: 256,
    cpus: 2,
    pids: 64,
    tmpMiB: 16,
    mounts: [{ from: process.execPath, to: "/var/lang/bin/node" }],
    command,
    ...changes,
  };
}

export const node = (source: string): string[] => ["/var/lang/bin/node", "-e", source];
/** Defines `list`, which names what is in folders: `ls` itself needs a younger kernel than gVisor's of Debian 12 is. */
export const list = `list() { for d; do for f in "$d"/* "$d"/.[!.]*; do [ -e "$f" -o -L "$f" ] && echo "\${f##*/}"; done; done; }; `;
export const sh = (source: string): string[] => ["/bin/sh", "-c", source];
export const python = (source: string): string[] => ["/usr/bin/python3", "-c", source];
export const noPython = lackingIf(!existsSync("/usr/bin/python3"), "there is no /usr/bin/python3");
