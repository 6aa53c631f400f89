/**
 * The embedded nats-server: JetStream on loopback, data in the home, alive exactly as long as we are.
 */
import { mkdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { PlatformProperty } from "../../config/nats/people.ts";
import { serverConf } from "../../config/nats/server-conf.ts";
import type { Stamp } from "../../config/nats/stamping.ts";
import { type Claim, claim } from "./claim.ts";
import { type Credentials, credentialsOf } from "./credentials.ts";
import type { Home } from "./home.ts";
import { choosePort, findFreePort, type PortChoice, rememberPort } from "./port.ts";
import { awaitPortsFile } from "./ports-file.ts";
import { writePrivately } from "./private-file.ts";
import { programVersion } from "./program.ts";
import { endStale } from "./stale.ts";
import { type Exit, startTethered } from "./tethered-child.ts";

export interface NatsServerOptions {
  /** Path of the program, as `findNatsServer` tells. */
  readonly binary: string;
  readonly home: Home;
  /** The port people know; another is taken, and told in `notes`, when it isn't free. Default 4222. */
  readonly port?: number;
  /** That port or none: it is known to others already. */
  readonly samePort?: boolean;
  /** Default 127.0.0.1: the network sees nothing of it. */
  readonly host?: string;
  readonly property: PlatformProperty;
  readonly stamp: Stamp;
  /** How often JetStream writes through to the disk: see `ServerConf.sync`. */
  readonly sync?: string;
  /** How long reading in an old store may take. Default one minute. */
  readonly readyTimeoutMs?: number;
}

export interface NatsServer {
  /** `nats://127.0.0.1:4222`, without credentials. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly version: string;
  readonly credentials: Credentials;
  /** Lines worth telling the person who started it, as that 4222 was taken. */
  readonly notes: readonly string[];
  readonly confFile: string;
  readonly logFile: string;
  /** Ends it in order, by force after 1.5 s. Gone when this resolves; may be called again. */
  stop(): Promise<void>;
  /** Resolves when the server has ended, by `stop` or by itself. */
  readonly exited: Promise<Exit>;
}

/** It ended or stayed silent before it was ready; the message carries the end of its own log. */
export class NatsServerFailed extends Error {
  override readonly name: string = "NatsServerFailed";
}

/** The port the server must have is somebody else's at the moment. */
export class PortTaken extends NatsServerFailed {
  override readonly name = "PortTaken";
}

const gracefulStopMs = 1500;

/**
 * Starts the server and resolves once it accepts connections. A server that an earlier, killed run
 * left behind is ended first.
 * @throws AlreadyClaimed when another living process uses this home
 * @throws PortTaken only with `samePort`
 * @throws NatsServerFailed
 */
export async function startNatsServer(options: NatsServerOptions): Promise<NatsServer> {
  const { home } = options;
  const held = await claim(join(home.run, "nats-server.claim"));
  try {
    const confFile = join(home.nats, "nats-server.conf");
    const pidFile = join(home.run, "nats-server.pid");
    const notes: string[] = [];
    const stale = await endStale(pidFile, confFile);
    if (stale) notes.push(`ended nats-server (process ${stale}) that an earlier run had left behind`);

    const version = await programVersion(options.binary);
    const credentials = await credentialsOf(home);
    const [host, preferred, portFile] = [
      options.host ?? "127.0.0.1",
      options.port ?? 4222,
      join(home.nats, "port.json"),
    ];
    const choice: PortChoice = options.samePort ? { port: preferred } : await choosePort(host, preferred, portFile);
    if (choice.note) notes.push(choice.note);
    const launch = (port: number) =>
      launchServer({ ...options, host, port, confFile, pidFile, version, credentials, held });
    // Between our look and the server's, another program may take the port: then any will do.
    const server = await launch(choice.port).catch(async (error: unknown) => {
      if (!String(error).includes("address already in use")) throw error;
      if (options.samePort) throw new PortTaken(`port ${preferred} is taken by another program`, { cause: error });
      notes.push(`port ${choice.port} was taken a moment ago, so a free one is used`);
      return launch(await findFreePort(host));
    });
    if (!options.samePort)
      await rememberPort(portFile, preferred, server.port).catch(async (error: unknown) => {
        await server.stop();
        throw error;
      });
    return { ...server, version, credentials, notes, confFile };
  } catch (error) {
    await held.release();
    throw error;
  }
}

interface Launch extends NatsServerOptions {
  readonly host: string;
  readonly confFile: string;
  readonly pidFile: string;
  readonly version: string;
  readonly credentials: Credentials;
  readonly port: number;
  readonly held: Claim;
}

async function launchServer(launch: Launch) {
  const { home, confFile, pidFile, version, credentials, port, held } = launch;
  const portsFolder = join(home.run, "nats-ports");
  await rm(portsFolder, { recursive: true, force: true });
  await mkdir(portsFolder, { mode: 0o700 });
  const logFile = join(home.logs, "nats-server.log");
  const text = serverConf({
    serverName: "mayfly",
    serverVersion: version,
    host: launch.host,
    port,
    storeDir: home.nats,
    platform: credentials.platform,
    people: credentials.mayfly,
    property: launch.property,
    stamp: launch.stamp,
    ...(launch.sync && { sync: launch.sync }),
    pidFile,
    portsFolder,
    logFile,
  });
  await writePrivately(confFile, text);

  const logStart = await sizeOf(logFile);
  const child = await startTethered(launch.binary, ["-c", confFile]);
  const abandoned = new AbortController();
  try {
    const url = await Promise.race([
      awaitPortsFile(portsFolder, launch.readyTimeoutMs ?? 60_000, abandoned.signal),
      child.exited.then(({ code, signal }) => {
        throw new NatsServerFailed(`nats-server ended before it was ready (${signal ?? `code ${code}`})`);
      }),
    ]);
    const pid = Number(await readFile(pidFile, "utf8"));
    const exited = child.exited.then(async (exit) => {
      await rm(pidFile, { force: true });
      await held.release();
      return exit;
    });
    const stop = async () => {
      await child.stop(gracefulStopMs);
      await exited;
    };
    return { url, port: Number(new URL(url).port), pid, logFile, exited, stop };
  } catch (error) {
    abandoned.abort();
    await child.stop(gracefulStopMs);
    const words = `${child.lastWords()}\n${await logFrom(logFile, logStart)}`.trim();
    const message = [(error as Error).message, ...words.split("\n").slice(-8)].join("\n");
    throw new NatsServerFailed(message, { cause: error });
  }
}

async function sizeOf(file: string): Promise<number> {
  return stat(file).then(
    ({ size }) => size,
    () => 0,
  );
}

/** What the log got since it had this size; all of it if it was started afresh meanwhile. */
async function logFrom(file: string, start: number): Promise<string> {
  const log = await readFile(file).catch(() => Buffer.alloc(0));
  return log.subarray(log.length >= start ? start : 0).toString("utf8");
}
