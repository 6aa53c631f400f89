/**
 * A command's connection to the running system: the server that MAYFLY_NATS_URL names, else the one `mayfly up` told of.
 * On this host it has a person's rights, or the platform's where a command does what only the owner of the home may; a
 * server elsewhere gives the rights of the credentials that came with its address.
 */
import type { NatsConnection } from "nats";
import { connectNats, type NatsOptions, natsNetwork } from "../actors/bus/nats.ts";
import type { Network } from "../actors/bus/port.ts";
import { type Credentials, credentialsOf } from "./embedded/credentials.ts";
import { externalServer } from "./embedded/find-nats-server.ts";
import { type Home, resolveHome } from "./embedded/home.ts";
import { NotRunning } from "./failure.ts";
import { type Running, readRunning } from "./running.ts";

export interface Session extends AsyncDisposable {
  readonly home: Home;
  readonly connection: NatsConnection;
  readonly network: Network;
  /** Absent when the platform runs elsewhere: then nothing on this host is its business. */
  readonly local: Running | undefined;
}

export interface Address {
  /** Without credentials. */
  readonly url: string;
  readonly user?: string;
  readonly password?: string;
  readonly local: Running | undefined;
}

/** Where the running system is, and as whom to speak to it. Throws `NotRunning` when nothing says. */
export async function findAddress(home: Home, as: keyof Credentials = "mayfly", env = process.env): Promise<Address> {
  const named = externalServer(env);
  if (named !== undefined) return { ...loginIn(env), ...splitUrl(named), local: undefined };
  const local = await readRunning(home);
  if (local === undefined) throw new NotRunning("Mayfly isn't running");
  const address = splitUrl(local.url);
  if (address.user !== undefined) return { ...address, local };
  return { ...address, ...(await credentialsOf(home))[as], local };
}

/** Throws `NotRunning` when there is no server, and what the server said when it won't have us. */
export async function openSession(as: keyof Credentials = "mayfly", env = process.env): Promise<Session> {
  const home = resolveHome(env);
  const { local, ...address } = await findAddress(home, as, env);
  const options: NatsOptions = { ...address, name: "mayfly command" };
  const connection = await connectNats(options).catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause);
    if (/authorization|authentication/i.test(why)) throw new Error(`${address.url} refuses us: ${why}`, { cause });
    throw new NotRunning(`Mayfly isn't running (${address.url}: ${why})`, { cause });
  });
  return {
    home,
    connection,
    network: natsNetwork(connection),
    local,
    [Symbol.asyncDispose]: () => connection.close(),
  };
}

function splitUrl(text: string): Pick<Address, "url" | "user" | "password"> {
  const url = new URL(text.includes("://") ? text : `nats://${text}`);
  const [user, password] = [decodeURIComponent(url.username), decodeURIComponent(url.password)];
  url.username = "";
  url.password = "";
  return {
    url: url.href.replace(/\/$/, ""),
    ...(user === "" ? {} : { user }),
    ...(password === "" ? {} : { password }),
  };
}

function loginIn({ MAYFLY_NATS_USER: user, MAYFLY_NATS_PASSWORD: password }: NodeJS.ProcessEnv): Partial<Address> {
  return { ...(user === undefined ? {} : { user }), ...(password === undefined ? {} : { password }) };
}
