/**
 * The whole system on this machine: a nats-server (embedded, or one that runs already), the plane, and the workers, one for
 * each zone: each of the three a process of its own, supervised.
 */
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import type { NatsConnection } from "nats";
import { connectNats, natsNetwork } from "../../actors/bus/nats.ts";
import { openStorage } from "../../actors/bus/storage.ts";
import { privateMountsIfAllowed } from "../../actors/sandbox/drivers/private-mounts.ts";
import type { Config } from "../../config/config.ts";
import { featuresOff } from "../../config/nats/features.ts";
import { writeCliContext } from "../embedded/cli-context.ts";
import { externalServer, findNatsServer } from "../embedded/find-nats-server.ts";
import type { Home } from "../embedded/home.ts";
import { type NatsServer, PortTaken, startNatsServer } from "../embedded/nats-server.ts";
import { identify } from "../embedded/process-identity.ts";
import { packageRoot } from "../package-root.ts";
import { PLANE } from "../run/components.ts";
import type { NatsLogin } from "../run/context.ts";
import { bubblewrapFor } from "../run/isolation.ts";
import { forgetRunning, type Running, writeRunning } from "../running.ts";
import { embeddedStamp, platformProperty } from "./property.ts";
import { awaitSystem, NotReady } from "./readiness.ts";
import { becomeBatchWork } from "./scheduling.ts";
import { refuseUnstamped } from "./stamp-check.ts";
import { Supervisor } from "./supervisor.ts";

export interface System {
  readonly login: NatsLogin;
  readonly connection: NatsConnection;
  /** The isolation in force, as the workers tell it. */
  readonly isolation: string;
  readonly contextSelected: boolean;
  /** Resolves when the nats-server ended and can't be had again: nothing works without it. */
  readonly serverLost: Promise<string>;
  /** Tells whoever waits for us to be up that nothing of it is still under way. */
  sayReady(): Promise<void>;
  stop(): Promise<void>;
}

interface Server {
  readonly login: NatsLogin;
  /** For the commands of this home: without credentials where the home has them. */
  readonly address: string;
  /** What people use. */
  readonly person: NatsLogin;
  readonly lost: Promise<string>;
  stop(): Promise<void>;
}

/** What `startSystem` needs beside the configuration. */
export interface Starting {
  readonly home: Home;
  /** Hears lines for a person. */
  readonly tell: (line: string) => void;
  /** Aborted when all is to end: what ends from then on, on its own or asked by others, is not started again. */
  readonly leaving: AbortSignal;
}

/** Resolves when every component and a worker in each zone answers. Rejects, leaving nothing, when told to leave before. */
export async function startSystem(config: Config, { home, tell, leaving }: Starting): Promise<System> {
  await becomeBatchWork();
  const bwrap = await bubblewrapFor(config.sandbox, { tools: home.tools, onProgress: progressOf(tell) });
  if (bwrap !== undefined) tell(`bubblewrap ${bwrap.version} (${bwrap.how})`);
  const server = await openServer({ home, tell, leaving });
  const failed = Promise.withResolvers<never>();
  let isUp = false;
  const endedOnce = new Set<string>();
  const supervisor = new Supervisor({
    leaving,
    ended: (name, how, restartMs, lastWords) => {
      // Clearing up after an earlier run that was killed may get in the way once; what is missing is missing twice.
      const mayTryAgain = isUp || !endedOnce.has(name);
      endedOnce.add(name);
      if (mayTryAgain) return tell(`${name} ended (${how}); starting it again in ${restartMs} ms`);
      const why = lastWords === "" ? how : lastWords.replace(/^mayfly: /, "");
      failed.reject(new NotReady(`${name} can't start: ${why}`));
    },
  });
  const leave = () => failed.reject(new NotReady("told to end while it came up"));
  leaving.addEventListener("abort", leave);
  failed.promise.catch(() => {});
  let connection: NatsConnection | undefined;
  const stop = async () => {
    await connection?.close();
    await supervisor.stop();
    await forgetRunning(home);
    await server.stop();
  };
  const bringUp = async (): Promise<System> => {
    connection = await connectNats({ ...server.login, name: "mayfly up" });
    await refuseUnstamped(natsNetwork(connection));
    if (externalServer() !== undefined) {
      const { version = "" } = connection.info ?? {};
      for (const line of featuresOff(version)) tell(`nats-server ${version}: off: ${line}`);
    }
    // By one process before the others ask: a cluster that is asked by several at once answers some of them never.
    await openStorage(connection, { replicas: config.replicas, asyncDepth: config.async.depth });
    const context = await writeCliContext(contextOf(server.person));
    const env = {
      MAYFLY_HOME: home.root,
      MAYFLY_NATS_URL: server.login.url,
      MAYFLY_NATS_USER: server.login.user,
      MAYFLY_NATS_PASSWORD: server.login.password,
    };
    const child = (name: string, before: readonly string[], args: readonly string[]) =>
      supervisor.start({
        name,
        command: [...before, ...mayfly("run", ...args)],
        env,
        logFile: join(home.logs, `${name}.log`),
      });
    child("plane", [], PLANE);
    // Begun with mounts of its own: it would begin a second time for them.
    const privately = await privateMountsIfAllowed();
    // In one process: what it hears and says for several at once costs little more than for one.
    child("workers", privately, ["worker", "--zone", ...config.zones]);
    const logs = join(home.logs, "*.log");
    const isolation = await awaitSystem(natsNetwork(connection), config.zones.length, PLANE, logs, failed.promise);
    isUp = true;
    const self = (await identify(process.pid)) ?? { pid: process.pid, startedAt: "" };
    const running: Running = {
      url: server.address,
      pid: process.pid,
      process: self,
      startedAt: Date.now(),
      zones: [...config.zones],
      isReady: false,
    };
    await writeRunning(home, running);
    return {
      login: server.login,
      connection,
      isolation,
      contextSelected: context.selected,
      serverLost: server.lost,
      sayReady: () => writeRunning(home, { ...running, isReady: true }),
      stop,
    };
  };
  try {
    if (leaving.aborted) leave();
    return await Promise.race([failed.promise, bringUp()]);
  } catch (error) {
    await stop();
    throw error;
  }
}

/** What was found is told by us, with what it is used for. */
const progressOf = (tell: (line: string) => void) => (line: string) => {
  if (!line.includes(": using version ")) tell(line);
};

/**
 * A component's heap. What one call leaves behind dies young: a larger nursery (in MiB) is swept less often, and by one
 * thread, as hardly anything of it is kept. Nor is anything born old: V8 does that to what once survived in a burst, and all
 * that it refers to survives with it from then on.
 */
const YOUNG_MIB = 32;
const HEAP = [
  `--min-semi-space-size=${YOUNG_MIB}`,
  `--max-semi-space-size=${YOUNG_MIB}`,
  "--no-parallel-scavenge",
  "--no-allocation-site-pretenuring",
];

/** This program again, with other arguments, on the same Node. */
export const mayfly = (...args: readonly string[]): string[] => [
  process.execPath,
  ...HEAP,
  join(packageRoot, "bin", "mayfly.js"),
  ...args,
];

const contextOf = ({ url, user = "", password = "" }: NatsLogin) => ({ url, user: { user, password } });

/** How long a port that was lost to another program is waited for, and how often it is tried, in ms. */
const PORT_WAIT_MS = 30_000;
const PORT_LOOK_MS = 200;

async function openServer({ home, tell, leaving }: Starting): Promise<Server> {
  const external = externalServer();
  if (external !== undefined) {
    const { MAYFLY_NATS_USER: user, MAYFLY_NATS_PASSWORD: password } = process.env;
    const login = {
      url: external,
      ...(user === undefined ? {} : { user }),
      ...(password === undefined ? {} : { password }),
    };
    tell(`using the NATS server at ${new URL(external).host} (MAYFLY_NATS_URL)`);
    return { login, address: external, person: login, lost: new Promise(() => {}), stop: async () => {} };
  }
  const found = await findNatsServer({ tools: home.tools, onProgress: progressOf(tell) });
  const options = { binary: found.path, home, property: platformProperty, stamp: embeddedStamp };
  let server = await startNatsServer(options);
  for (const note of server.notes) tell(note);
  tell(`nats-server ${found.version} (${found.how}) on ${server.url}, data in ${home.root}`);
  const { url, port, credentials } = server;
  const lost = Promise.withResolvers<string>();
  let stopped = false;
  const isEnding = () => stopped || leaving.aborted;
  /** On the port that everybody knows, once whoever was quicker has left it. */
  const again = async (): Promise<NatsServer> => {
    const until = performance.now() + PORT_WAIT_MS;
    for (let told = false; ; told = true) {
      try {
        return await startNatsServer({ ...options, port, samePort: true });
      } catch (error) {
        if (!(error instanceof PortTaken) || isEnding() || performance.now() > until) throw error;
        if (!told) tell(`${error.message}; nats-server waits for it`);
        await wait(PORT_LOOK_MS);
      }
    }
  };
  /** Its data is on disk and everybody reconnects, so one that ends is started again. */
  const watch = async (): Promise<void> => {
    const { code, signal } = await server.exited;
    if (isEnding()) return;
    tell(`nats-server ended (${signal ?? `exit status ${code}`}); starting it again`);
    server = await again();
    return isEnding() ? server.stop() : watch();
  };
  const watching = watch().catch((error: Error) =>
    lost.resolve(`nats-server can't be started again: ${error.message}`),
  );
  return {
    login: { url, ...credentials.platform },
    address: url,
    person: { url, ...credentials.mayfly },
    lost: lost.promise,
    async stop() {
      stopped = true;
      await server.stop();
      await watching;
    },
  };
}
