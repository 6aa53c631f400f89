/**
 * A real nats-server for one test file: the embedded one, with its accounts, users and subject mappings, in a temporary
 * home on a free port. `await using server = await startTestServer()`; all of it is gone when the scope ends.
 */
import { rmSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { NatsConnection } from "nats";
import { connectNats } from "../../actors/bus/nats.ts";
import type { Credential, Credentials } from "../../bin/embedded/credentials.ts";
import { findNatsServer } from "../../bin/embedded/find-nats-server.ts";
import { homeAt, prepareHome } from "../../bin/embedded/home.ts";
import { startNatsServer } from "../../bin/embedded/nats-server.ts";
import { embeddedStamp, platformProperty } from "../../bin/up/property.ts";
import { freePort } from "../embedded/any-server.ts";

/** What is fetched stays with the installed packages, for the next run. */
const tools = fileURLToPath(new URL("../../node_modules/.cache/mayfly/tools", import.meta.url));

export interface TestServer extends AsyncDisposable {
  readonly url: string;
  readonly credentials: Credentials;
  /** A connection as the platform, or as the person at the keyboard; closed with the server. */
  connect(as?: keyof Credentials): Promise<NatsConnection>;
}

export interface RestartableServer extends TestServer {
  /** Ends it by force, and starts it again on the same port with the same store, once what is done `meanwhile` is done. */
  restart(meanwhile?: () => Promise<void>): Promise<void>;
}

export const startTestServer = (): Promise<TestServer> => startRestartableServer();

/** On a port that was given up just now, or any free one. */
export async function startRestartableServer(givenPort?: number): Promise<RestartableServer> {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-test-"));
  // A test that runs out of time never gets to dispose of anything.
  const removeAtExit = () => rmSync(folder, { recursive: true, force: true });
  process.once("exit", removeAtExit);
  const removeFolder = async () => {
    process.off("exit", removeAtExit);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await chmod(folder, 0o700);
    const home = await prepareHome(homeAt(join(folder, "home")));
    const { path: binary } = await findNatsServer({ tools });
    const port = givenPort ?? (await freePort());
    const start = (at: number) =>
      startNatsServer({ binary, home, port: at, property: platformProperty, stamp: embeddedStamp });
    let server = await start(port);
    const connections: NatsConnection[] = [];
    return {
      url: server.url,
      credentials: server.credentials,
      async connect(as = "platform") {
        const { user, password }: Credential = server.credentials[as];
        const connection = await connectNats({ url: server.url, user, password, name: `test ${as}` });
        connections.push(connection);
        return connection;
      },
      async restart(meanwhile = async () => {}) {
        process.kill(server.pid, "SIGKILL");
        await server.exited;
        await meanwhile();
        server = await start(server.port);
      },
      async [Symbol.asyncDispose]() {
        await Promise.all(connections.map((each) => each.close()));
        await server.stop();
        await removeFolder();
      },
    };
  } catch (error) {
    await removeFolder();
    throw error;
  }
}
