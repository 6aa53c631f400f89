import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, chown, copyFile, mkdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "nats";
import { beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { AlreadyClaimed } from "../../bin/embedded/claim.ts";
import { NatsServerFailed } from "../../bin/embedded/nats-server.ts";
import { identify } from "../../bin/embedded/process-identity.ts";
import { ORDINARY_USER } from "../support/ordinary-user.ts";
import { anyServer, freePort, started } from "./any-server.ts";
import { temporaryFolder, temporaryHome } from "./temporary-home.ts";

let binary: string;
beforeAll(async () => {
  binary = (await anyServer())?.path ?? "";
}, 300_000);

const script = fileURLToPath(new URL("run-server.ts", import.meta.url));

/** Runs `run-server.ts` as a process of its own, optionally through another program. */
async function startedElsewhere(args: string[], prefix: string[] = [], env: NodeJS.ProcessEnv = process.env) {
  const [command = "", ...rest] = [...prefix, process.execPath, script, ...args];
  const child: ChildProcessWithoutNullStreams = spawn(command, rest, { env, stdio: "pipe" });
  onTestFinished(async () => {
    child.stdin.end();
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  });
  const errors: Buffer[] = [];
  child.stderr.on("data", (chunk: Buffer) => errors.push(chunk));
  for await (const line of createInterface(child.stdout)) {
    return { child, ...(JSON.parse(line) as { pid: number; url: string; notes: string[] }) };
  }
  throw new Error(Buffer.concat(errors).toString());
}

const gone = (pid: number) => vi.waitFor(async () => expect(await identify(pid)).toBeUndefined(), 5000);

describe("the embedded server", () => {
  beforeAll(() => {
    if (!binary) throw new Error("no nats-server can be had on this machine");
  });

  test("accepts connections when it is said to be ready, and only with a login", async () => {
    const server = await started(await temporaryHome(), binary);
    const { user, password: pass } = server.credentials.platform;
    const connection = await connect({ servers: server.url, user, pass });
    await connection.close();
    await expect(connect({ servers: server.url })).rejects.toThrow(/authorization/i);
  });

  test("is gone within two seconds of its stop", async () => {
    const server = await started(await temporaryHome(), binary);
    const before = performance.now();
    await server.stop();
    expect(performance.now() - before).toBeLessThan(2000);
    expect(await identify(server.pid)).toBeUndefined();
    // In order, that is: not by a signal. Before 2.11 the server ends with code 1 then.
    expect((await server.exited).signal).toBeNull();
    await server.stop();
  });

  test("keeps its secrets in files of this user alone, and over starts", async () => {
    const home = await temporaryHome();
    const first = await started(home, binary);
    for (const file of [first.confFile, join(home.nats, "credentials.json")]) {
      expect((await stat(file)).mode & 0o777).toBe(0o600);
    }
    await first.stop();
    const second = await started(home, binary, { port: first.port });
    expect(second.credentials).toEqual(first.credentials);
    expect(second.port).toBe(first.port);
  });

  test("keeps what JetStream stored over starts", async () => {
    const home = await temporaryHome();
    const open = async () => {
      const server = await started(home, binary);
      const { user, password: pass } = server.credentials.platform;
      return { server, connection: await connect({ servers: server.url, user, pass }) };
    };
    const first = await open();
    await (await jetstreamManager(first.connection)).streams.add({ name: "KEPT", subjects: ["kept"] });
    await first.connection.close();
    await first.server.stop();
    const second = await open();
    expect((await (await jetstreamManager(second.connection)).streams.info("KEPT")).config.name).toBe("KEPT");
    await second.connection.close();
    expect((await stat(join(home.jetstream, "MAYFLY", "streams", "KEPT"))).isDirectory()).toBe(true);
  });

  test("takes another port and says so when the known one is taken, and keeps to it", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as { port: number };
    const home = await temporaryHome();
    const first = await started(home, binary, { port });
    expect(first.port).not.toBe(port);
    expect(first.notes).toEqual([`port ${port} is taken by another program, so a free one is used`]);
    await first.stop();
    await new Promise((resolve) => other.close(resolve));
    const second = await started(home, binary, { port });
    expect(second.port).toBe(first.port);
    expect(second.notes).toEqual([`listening on port ${first.port}, as last time, because ${port} was taken then`]);
  });

  test("is refused for a home that another one is using, which is left alone", async () => {
    const home = await temporaryHome();
    const server = await started(home, binary);
    await expect(started(home, binary)).rejects.toThrow(AlreadyClaimed);
    expect(await identify(server.pid)).toBeDefined();
  });

  test("that can't start says why in its own words, and the home is free again", async () => {
    const home = await temporaryHome();
    await writeFile(home.jetstream.concat("-file"), "");
    await rm(home.jetstream, { recursive: true });
    await writeFile(home.jetstream, "not a folder");
    const failure = await started(home, binary).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(NatsServerFailed);
    expect((failure as Error).message).toMatch(/storage directory|not a directory/i);
    await rm(home.jetstream);
    await started(home, binary);
  });

  test("ending by itself is told", async () => {
    const server = await started(await temporaryHome(), binary);
    process.kill(server.pid, "SIGKILL");
    expect((await server.exited).code === 0).toBe(false);
  });
});

describe("when its parent is killed without a word", () => {
  test("it ends too", async () => {
    const home = await temporaryHome();
    const { child, pid } = await startedElsewhere([home.root, binary, String(await freePort())]);
    child.kill("SIGKILL");
    await gone(pid);
  });

  test("it ends too where only a shell can guard it", async () => {
    const folder = await temporaryFolder();
    await symlink("/bin/sh", join(folder, "sh"));
    const home = await temporaryHome();
    const env = { ...process.env, PATH: folder };
    const { child, pid } = await startedElsewhere([home.root, binary, String(await freePort())], [], env);
    child.kill("SIGKILL");
    await gone(pid);
  });

  test("a server that survived is ended by the next start, and no other process is", async () => {
    const home = await temporaryHome();
    const first = await started(home, binary);
    await first.stop();
    const orphan = spawn(binary, ["-c", first.confFile], { stdio: "ignore" });
    onTestFinished(() => void orphan.kill("SIGKILL"));
    const pidFile = join(home.run, "nats-server.pid");
    await vi.waitFor(async () => expect(Number(await readFile(pidFile, "utf8"))).toBe(orphan.pid), 5000);
    const second = await started(home, binary);
    expect(second.notes[0]).toBe(`ended nats-server (process ${orphan.pid}) that an earlier run had left behind`);
    expect(orphan.exitCode ?? orphan.signalCode).not.toBeNull();
    await second.stop();
    await writeFile(pidFile, String(process.pid));
    expect((await started(home, binary)).notes).toEqual([]);
  });
});

test("an ordinary user can run it", async ({ skip }) => {
  if (process.getuid?.() !== 0) return skip("the tests run as an ordinary user already");
  const folder = await temporaryFolder();
  await chmod(folder, 0o711);
  const theirs = join(folder, "theirs");
  await mkdir(theirs, { mode: 0o700 });
  await chown(theirs, ORDINARY_USER, ORDINARY_USER);
  const prefix = ["setpriv", `--reuid=${ORDINARY_USER}`, `--regid=${ORDINARY_USER}`, "--clear-groups"];
  const env = { PATH: process.env.PATH, HOME: theirs };
  const theirBinary = join(folder, "nats-server");
  await copyFile(binary, theirBinary);
  await chmod(theirBinary, 0o755);
  if (!(await canRead(prefix, [script, process.execPath]))) return skip("the work tree is closed to ordinary users");
  const { pid, url } = await startedElsewhere(
    [join(theirs, "home"), theirBinary, String(await freePort())],
    prefix,
    env,
  );
  expect(await readFile(`/proc/${pid}/status`, "utf8")).toMatch(new RegExp(`^Uid:\\s+${ORDINARY_USER}`, "m"));
  expect(new URL(url).hostname).toBe("127.0.0.1");
});

async function canRead(prefix: string[], files: string[]): Promise<boolean> {
  const [command = "", ...rest] = [...prefix, "sh", "-c", 'for f; do [ -r "$f" ] || exit 1; done', "sh", ...files];
  const [code] = await once(spawn(command, rest, { stdio: "ignore" }), "exit");
  return code === 0;
}
