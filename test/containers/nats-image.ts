/**
 * NATS in a container: an image built from the nats-server of this machine, and a server of it with the configuration
 * that docker-compose.yml uses, as a drop-in for the embedded one of test/support/nats.ts.
 */
import { randomBytes } from "node:crypto";
import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { connect, type NatsConnection } from "nats";
import { GenericContainer, StartupCheckStrategy } from "testcontainers";
import { connectNats } from "../../actors/bus/nats.ts";
import { composeConfFile } from "../../bin/build/compose-conf.ts";
import type { Credentials } from "../../bin/embedded/credentials.ts";
import { findNatsServer } from "../../bin/embedded/find-nats-server.ts";
import { freePort } from "../embedded/any-server.ts";
import type { RestartableServer } from "../support/nats.ts";
import { buildImage } from "./engine.ts";
import { copyPrograms } from "./image-root.ts";

const tools = fileURLToPath(new URL("../../node_modules/.cache/mayfly/tools", import.meta.url));

export interface LocalImage extends AsyncDisposable {
  readonly name: string;
}

/** Beside the server only wget, for the health check; both as the official image has them. */
export async function buildNatsImage(): Promise<LocalImage> {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-image-"));
  try {
    const { path } = await findNatsServer({ tools });
    await copyPrograms(folder, ["wget", path]);
    await mkdir(join(folder, "usr/local/bin"), { recursive: true });
    await copyFile(path, join(folder, "usr/local/bin/nats-server"));
    const ownDockerfile = 'FROM scratch\nCOPY . /\nENTRYPOINT ["/usr/local/bin/nats-server"]\n';
    await writeFile(join(folder, "Dockerfile"), ownDockerfile);
    const name = `mayfly-test-nats:${randomBytes(4).toString("hex")}`;
    const built = await buildImage(name, folder);
    return { name, [Symbol.asyncDispose]: () => built[Symbol.asyncDispose]() };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What a log says of a start can be missed when the container is restarted; a client's greeting can't. */
class AnswersClients extends StartupCheckStrategy {
  readonly #url: string;
  readonly #credentials: Credentials;

  constructor(url: string, credentials: Credentials) {
    super();
    this.#url = url;
    this.#credentials = credentials;
  }

  override async checkStartupState() {
    const { user, password } = this.#credentials.platform;
    try {
      const client = await connect({ servers: this.#url, user, pass: password, reconnect: false, timeout: 1000 });
      await client.close();
      return "SUCCESS";
    } catch {
      return "PENDING";
    }
  }
}

/** A server on a free port of this machine, also after a restart; it and its data are gone when disposed of. */
export async function startContainerServer(image: string): Promise<RestartableServer> {
  const secret = () => randomBytes(16).toString("hex");
  const credentials: Credentials = {
    platform: { user: "platform", password: secret() },
    mayfly: { user: "mayfly", password: secret() },
  };
  const port = await freePort();
  const url = `nats://127.0.0.1:${port}`;
  const container = await new GenericContainer(image)
    .withCopyFilesToContainer([{ source: composeConfFile, target: "/etc/nats/mayfly.conf" }])
    .withEnvironment({
      MAYFLY_PLATFORM_PASSWORD: `'${credentials.platform.password}'`,
      MAYFLY_PERSON_PASSWORD: `'${credentials.mayfly.password}'`,
    })
    .withCommand(["-c", "/etc/nats/mayfly.conf"])
    .withExposedPorts({ container: 4222, host: port })
    .withWaitStrategy(new AnswersClients(url, credentials))
    .start();
  const connections: NatsConnection[] = [];
  return {
    url,
    credentials,
    async connect(as = "platform") {
      const connection = await connectNats({ url, ...credentials[as], name: `test ${as}` });
      connections.push(connection);
      return connection;
    },
    restart: () => container.restart({ timeout: 0 }),
    async [Symbol.asyncDispose]() {
      await Promise.all(connections.map((each) => each.close()));
      await container.stop({ remove: true, removeVolumes: true });
    },
  };
}
