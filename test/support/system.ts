/**
 * The whole system as a newcomer starts it: `mayfly up` in a home of its own, on a free port. Disposing ends it and
 * removes every trace; a test that wants to see it die kills it by `pid`.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { chmod, chown, copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { NatsConnection } from "nats";
import { connectNats } from "../../actors/bus/nats.ts";
import { credentialsOf } from "../../bin/embedded/credentials.ts";
import { findBubblewrap } from "../../bin/embedded/find-bubblewrap.ts";
import { findNatsServer } from "../../bin/embedded/find-nats-server.ts";
import { type Home, homeAt } from "../../bin/embedded/home.ts";
import { readRunning } from "../../bin/running.ts";
import { Supervisor } from "../../bin/up/supervisor.ts";
import type { Surroundings } from "./surroundings.ts";

const root = join(import.meta.dirname, "..", "..");
const run = promisify(execFile);

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningSystem extends AsyncDisposable {
  readonly home: Home;
  readonly env: NodeJS.ProcessEnv;
  readonly pid: number;
  /** What `up` printed so far. */
  output(): string;
  /** A connection as a person (the CLI context's user), or as a component. */
  connect(as?: "mayfly" | "platform"): Promise<NatsConnection>;
  /** Runs `mayfly <args>` to its end. */
  mayfly(...args: string[]): Promise<Ran>;
  /** Ends it as Ctrl-C would; resolves with its exit code. */
  stop(): Promise<number | null>;
}

export interface SystemOptions {
  /** `MAYFLY_…` settings. */
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  /** An existing folder to use as HOME and parent of the data, not removed at the end. */
  readonly folder?: string;
  /** Run as this user of the host, by `setpriv`; needs root. */
  readonly uid?: number;
  /** Run in these surroundings, on the host in there. */
  readonly around?: Surroundings;
}

export const mayflyProgram = join(root, "bin", "mayfly.js");

export async function startMayfly({
  env = {},
  args = ["--no-hello"],
  folder,
  uid,
  around,
}: SystemOptions = {}): Promise<RunningSystem> {
  const place = folder ?? (await mkdtemp(join(tmpdir(), "mayfly-test-")));
  const home = homeAt(join(place, "data"));
  const surroundings: NodeJS.ProcessEnv = {
    ...process.env,
    HOME: place,
    XDG_CONFIG_HOME: join(place, "config"),
    MAYFLY_HOME: home.root,
    ...(await (uid === undefined ? programs() : programsFor(uid, place))),
    ...env,
  };
  if (uid !== undefined) await chown(place, uid, uid);
  const enter = around?.enter ?? [];
  const [program = "", ...words] = [...enter, ...asUser(uid), process.execPath, mayflyProgram, "up", ...args];
  const up = spawn(program, words, {
    env: surroundings,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let printed = "";
  for (const stream of [up.stdout, up.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => (printed += text));
  const ended = new Promise<number | null>((resolve) => up.once("exit", resolve));
  const connections: NatsConnection[] = [];
  const stop = async () => {
    await Promise.all(connections.splice(0).map((each) => each.close()));
    if (up.exitCode === null && up.signalCode === null) up.kill("SIGINT");
    return ended;
  };
  const dispose = async () => {
    await stop();
    if (folder === undefined) await rm(place, { recursive: true, force: true });
  };
  try {
    await announced(up, () => printed, "Ctrl-C ends it.");
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    home,
    env: surroundings,
    pid: up.pid ?? 0,
    output: () => printed,
    async connect(as = "mayfly") {
      const running = await readRunning(home);
      if (running === undefined) throw new Error("not running");
      const url = around === undefined ? running.url : `nats://127.0.0.1:${await around.door(portOf(running.url))}`;
      const connection = await connectNats({ url, ...(await credentialsOf(home))[as], name: "test" });
      connections.push(connection);
      return connection;
    },
    mayfly: (...words) => runMayfly(surroundings, words, enter),
    stop,
    [Symbol.asyncDispose]: dispose,
  };
}

/** What is fetched stays with the installed packages: a home of its own would fetch it again for every test. */
export async function programs(): Promise<NodeJS.ProcessEnv> {
  const tools = join(root, "node_modules", ".cache", "mayfly", "tools");
  const [server, bwrap] = await Promise.all([findNatsServer({ tools }), findBubblewrap({ tools })]);
  return { MAYFLY_NATS_SERVER: server.path, MAYFLY_BWRAP: bwrap.path };
}

/** Another user may not reach what is in our home: he gets a server of his own. */
async function programsFor(uid: number, folder: string): Promise<NodeJS.ProcessEnv> {
  const ours = await programs();
  const server = join(folder, "nats-server");
  await copyFile(ours.MAYFLY_NATS_SERVER ?? "", server);
  await chmod(server, 0o755);
  await chown(server, uid, uid);
  return { ...ours, MAYFLY_NATS_SERVER: server };
}

export const asUser = (uid: number | undefined): readonly string[] =>
  uid === undefined ? [] : ["setpriv", `--reuid=${uid}`, `--regid=${uid}`, "--clear-groups"];

/** Runs `mayfly <args>` to its end, whatever its exit code. */
export async function runMayfly(
  env: NodeJS.ProcessEnv,
  args: readonly string[],
  enter: readonly string[] = [],
): Promise<Ran> {
  const [program = "", ...words] = [...enter, process.execPath, mayflyProgram, ...args];
  try {
    const { stdout, stderr } = await run(program, words, {
      env,
      maxBuffer: 64 * 1024 * 1024,
    });
    return { code: 0, stdout, stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, stdout, stderr };
  }
}

const portOf = (url: string): number => Number(new URL(url).port);

function announced(child: ChildProcess, output: () => string, line: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = () => {
      if (output().includes(line)) resolve();
    };
    child.stdout?.on("data", look);
    child.once("exit", (code) => reject(new Error(`mayfly up ended (exit status ${code}):\n${output()}`)));
  });
}

export interface Beside extends AsyncDisposable {
  /** With SIGKILL; it is started again. Rejects while there is none. */
  kill(component: string): Promise<void>;
}

/** More components for a running system, each in a process of its own. */
export function runBeside(system: RunningSystem, ...components: string[]): Beside {
  const supervisor = new Supervisor({ ended: () => {} });
  for (const name of components) {
    const command = [process.execPath, mayflyProgram, "run", name];
    supervisor.start({ name, command, env: system.env, logFile: join(system.home.logs, `beside-${name}.log`) });
  }
  return {
    async kill(component) {
      const pid = supervisor.pids().get(component);
      if (pid === undefined) throw new Error(`no ${component} runs`);
      process.kill(pid, "SIGKILL");
    },
    [Symbol.asyncDispose]: () => supervisor.stop(),
  };
}
