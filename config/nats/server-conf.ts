/**
 * The text of a nats-server configuration file for Mayfly: pure, values in, text out.
 *
 * One shape serves the embedded server, a standalone one (docker-compose) and a member of a cluster;
 * they differ in parameters only. The text is JSON, which the server's own format includes, so that
 * no value can break out of its place.
 */
import { hasFeature, serverFeatures } from "./features.ts";
import { type PlatformProperty, peoplePermissions } from "./people.ts";
import { type Stamp, stampingMappings } from "./stamping.ts";

const platformAccount = "MAYFLY";
export const systemAccount = "SYS";

/** Lambda's largest payload is 6 MB, and a third more as base64. Above 8 MB the server warns. */
export const maxPayloadBytes = 8 * 1024 * 1024;
/** What the server queues for a slow reader before it cuts the connection; must stay above the payload. */
export const maxPendingBytes = 64 * 1024 * 1024;

export interface ServerUser {
  readonly user: string;
  /** Plain, or a bcrypt hash, which costs each connection the hash's time. */
  readonly password: string;
}

export interface ServerCluster {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** The other members, `nats://host:port`, without credentials: those are added from `routeUser`. */
  readonly routes: readonly string[];
  readonly routeUser: ServerUser;
}

export interface ServerConf {
  readonly serverName: string;
  /** The binary's version: keys it doesn't know aren't written, because it would refuse to start. */
  readonly serverVersion: string;
  readonly host: string;
  /** TCP port for clients; -1 lets the server take a free one and tell it in its ports file. */
  readonly port: number;
  /** The server keeps its data in the folder `jetstream` in it. */
  readonly storeDir: string;
  /** JetStream's share of the disk in bytes; by default the server takes what it deems fit. */
  readonly maxStoreBytes?: number;
  /** `always` survives a power cut at several times the cost; a duration as `2m` doesn't. */
  readonly sync?: string;
  /** Mayfly's components: all rights in the account. */
  readonly platform: ServerUser;
  /** People and the CLI: see `people.ts`. */
  readonly people: ServerUser;
  readonly property: PlatformProperty;
  readonly stamp: Stamp;
  /** For `nats server …` commands; without it nobody can log in to the system account. */
  readonly system?: ServerUser;
  readonly pidFile?: string;
  readonly portsFolder?: string;
  readonly logFile?: string;
  /** The HTTP monitor has no login: off unless asked for. */
  readonly monitor?: { readonly host: string; readonly port: number };
  readonly cluster?: ServerCluster;
  /** As `az:a`; with tags, JetStream puts replicas into distinct zones. */
  readonly tags?: readonly string[];
}

/** The whole file. Same values, same text. */
export function serverConf(conf: ServerConf): string {
  const { serverVersion: version, host, port, cluster, tags, monitor } = conf;
  const rotation = hasFeature(version, serverFeatures.logRotation) ? { logfile_max_num: 3 } : {};
  const values = {
    server_name: conf.serverName,
    host,
    port,
    ...(conf.pidFile && { pid_file: conf.pidFile }),
    ...(conf.portsFolder && { ports_file_dir: conf.portsFolder }),
    ...(conf.logFile && { log_file: conf.logFile, logfile_size_limit: 10 * 1024 * 1024, ...rotation }),
    ...(monitor && { http: `${monitor.host}:${monitor.port}` }),
    ...(tags?.length && { server_tags: tags }),
    max_payload: maxPayloadBytes,
    max_pending: maxPendingBytes,
    ping_interval: "10s",
    ping_max: 2,
    write_deadline: "10s",
    lame_duck_grace_period: "5s",
    lame_duck_duration: "30s",
    jetstream: jetstream(conf),
    system_account: systemAccount,
    accounts: {
      [systemAccount]: conf.system ? { users: [conf.system] } : {},
      [platformAccount]: {
        jetstream: "enabled",
        users: [conf.platform, { ...conf.people, permissions: peoplePermissions(conf.property) }],
        mappings: stampingMappings(conf.stamp),
      },
    },
    ...(cluster && { cluster: clusterBlock(cluster) }),
  };
  return `# Written by Mayfly at every start: changes made here are lost.\n${JSON.stringify(values, null, 2)}\n`;
}

function jetstream(conf: ServerConf): object {
  const capped = hasFeature(conf.serverVersion, serverFeatures.consumerDefault);
  return {
    store_dir: conf.storeDir,
    ...(conf.maxStoreBytes !== undefined && { max_file_store: conf.maxStoreBytes }),
    ...(conf.sync && hasFeature(conf.serverVersion, serverFeatures.syncInterval) && { sync_interval: conf.sync }),
    ...(conf.tags?.length && { unique_tag: "az:" }),
    // A consumer per function with a backlog: the server's default of 1000 is too few.
    ...(capped && { limits: { default_max_consumers: -1 } }),
  };
}

function clusterBlock({ name, host, port, routes, routeUser }: ServerCluster): object {
  const credentials = `${encodeURIComponent(routeUser.user)}:${encodeURIComponent(routeUser.password)}`;
  return {
    name,
    listen: `${host}:${port}`,
    authorization: { ...routeUser, timeout: 2 },
    routes: routes.map((route) => route.replace("://", `://${credentials}@`)),
  };
}
