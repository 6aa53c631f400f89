/** What every component of one process is given: the connection, the configuration, the home, time and a log. */
import { randomBytes, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { NatsConnection } from "nats";
import { type Logger, pino } from "pino";
import { Component } from "../../actors/bus/component.ts";
import { connectNats, natsNetwork } from "../../actors/bus/nats.ts";
import { type Clock, type Network, systemClock } from "../../actors/bus/port.ts";
import { natsQueues, type WorkQueues } from "../../actors/bus/queues.ts";
import { natsSources, type Sources } from "../../actors/bus/sources.ts";
import { openStorage, type Storage } from "../../actors/bus/storage.ts";
import type { Config } from "../../config/config.ts";
import { hasFeature, serverFeatures } from "../../config/nats/features.ts";
import type { Home } from "../embedded/home.ts";
import { packageRoot } from "../package-root.ts";

export interface NatsLogin {
  readonly url: string;
  readonly user?: string;
  readonly password?: string;
}

export interface Process {
  readonly connection: NatsConnection;
  readonly network: Network;
  readonly storage: Storage;
  readonly queues: WorkQueues;
  readonly sources: Sources;
  readonly config: Config;
  readonly home: Home;
  readonly clock: Clock;
  readonly log: Logger;
  /** Makes a component with an id of its own, listed by `nats micro` as `mayfly-<name>`. */
  component(name: string, description: string, metadata?: Readonly<Record<string, string>>): Component;
}

export interface Started {
  readonly component: Component;
  /** Lets go of what runs, within a second or so. */
  stop(): Promise<void>;
  /** Resolves when the component has ended by itself. */
  readonly ended?: Promise<string>;
}

const { version } = JSON.parse(readFileSync(join(packageRoot, "package.json"), "utf8")) as { version: string };

export const shortId = (): string => randomBytes(4).toString("hex");
export const uuid = (): string => randomUUID();

export async function openProcess(name: string, login: NatsLogin, config: Config, home: Home): Promise<Process> {
  const connection = await connectNats({ ...login, name: `mayfly ${name}` });
  const storage = await openStorage(connection, { replicas: config.replicas, asyncDepth: config.async.depth });
  const network = natsNetwork(connection);
  const log = pino({ level: config.log, base: { pid: process.pid } });
  return {
    connection,
    network,
    storage,
    queues: await natsQueues(connection),
    sources: await natsSources(connection, {
      hasReset: hasFeature(connection.info?.version ?? "", serverFeatures.consumerReset),
    }),
    config,
    home,
    clock: systemClock,
    log,
    component: (component, description, metadata = {}) =>
      new Component({
        network,
        clock: systemClock,
        log,
        name: `mayfly-${component}`,
        id: `${component}-${shortId()}`,
        version,
        description,
        metadata: { host: config.host, ...metadata },
      }),
  };
}
