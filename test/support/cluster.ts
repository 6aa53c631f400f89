/** Three nats-servers that replicate, on free ports of this machine; all of it is gone when the scope ends. */
import { type ChildProcess, spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "nats";
import { connectNats } from "../../actors/bus/nats.ts";
import { findNatsServer } from "../../bin/embedded/find-nats-server.ts";
import { embeddedStamp, platformProperty } from "../../bin/up/property.ts";
import { serverConf } from "../../config/nats/server-conf.ts";
import { freePort } from "../embedded/any-server.ts";

export interface Cluster extends AsyncDisposable {
  /** Of the first member; a client learns of the others from it. */
  readonly url: string;
  readonly user: string;
  readonly password: string;
  connect(): Promise<NatsConnection>;
  /** Ends the member that leads a stream by force, as soon as one does, and starts it again; resolves with its name. */
  killLeaderOf(stream: string): Promise<string>;
}

const MEMBERS = ["n1", "n2", "n3"];

export async function startCluster(): Promise<Cluster> {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-cluster-"));
  const { path: binary } = await findNatsServer({
    tools: join(import.meta.dirname, "..", "..", "node_modules", ".cache", "mayfly", "tools"),
  });
  const routes = await Promise.all(MEMBERS.map(() => freePort()));
  const ports = await Promise.all(MEMBERS.map(() => freePort()));
  const platform = { user: "platform", password: "platform" };
  const running = new Map<string, ChildProcess>();
  const run = (name: string) => {
    const child = spawn(binary, ["-c", join(folder, `${name}.conf`)], { stdio: "ignore" });
    running.set(name, child);
  };
  // A test that runs out of time never gets to dispose of anything.
  const removeAtExit = () => {
    for (const child of running.values()) child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  };
  process.once("exit", removeAtExit);
  for (const [at, name] of MEMBERS.entries()) {
    const conf = serverConf({
      serverName: name,
      serverVersion: "2.14.0",
      host: "127.0.0.1",
      port: ports[at] ?? 0,
      storeDir: join(folder, name),
      platform,
      people: { user: "mayfly", password: "mayfly" },
      property: platformProperty,
      stamp: embeddedStamp,
      cluster: {
        name: "test",
        host: "127.0.0.1",
        port: routes[at] ?? 0,
        routes: routes.map((port) => `nats://127.0.0.1:${port}`),
        routeUser: { user: "route", password: "route" },
      },
    });
    await writeFile(join(folder, `${name}.conf`), conf);
    run(name);
  }
  const url = `nats://127.0.0.1:${ports[0]}`;
  const connections: NatsConnection[] = [];
  const end = (child: ChildProcess) => {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    return ended;
  };
  const cluster: Cluster = {
    url,
    ...platform,
    async connect() {
      const connection = await connectNats({ url, ...platform, name: "test" });
      connections.push(connection);
      return connection;
    },
    async killLeaderOf(stream) {
      for (;;) {
        const name = await leaderOf(connections[0] as NatsConnection, stream);
        const child = running.get(name ?? "");
        if (name === undefined || child === undefined) continue;
        await end(child);
        run(name);
        return name;
      }
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(connections.map((each) => each.close()));
      await Promise.all([...running.values()].map(end));
      process.off("exit", removeAtExit);
      await rm(folder, { recursive: true, force: true });
    },
  };
  await ready(cluster);
  return cluster;
}

/** Undefined, after a while, when there is none: the last one may have gone just now. */
async function leaderOf(connection: NatsConnection, stream: string): Promise<string | undefined> {
  try {
    const manager = await jetstreamManager(connection, { checkAPI: false });
    return (await manager.streams.info(stream)).cluster?.leader;
  } catch {
    return undefined;
  }
}

/** Resolves when the members have found each other and answer for JetStream. */
async function ready(cluster: Cluster): Promise<void> {
  for (;;) {
    const answered = await cluster
      .connect()
      .then(async (connection) => (await jetstreamManager(connection)).getAccountInfo())
      .catch(() => undefined);
    if (answered !== undefined) return;
  }
}
