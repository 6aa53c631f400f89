import { execFile } from "node:child_process";
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { connect } from "nats";
import { describe, expect, onTestFinished, test } from "vitest";
import { removeCliContext, writeCliContext } from "../../bin/embedded/cli-context.ts";
import { onPath } from "../../bin/embedded/program.ts";
import { anyServer, started } from "./any-server.ts";
import { temporaryFolder, temporaryHome } from "./temporary-home.ts";

const run = promisify(execFile);
const server = { url: "nats://127.0.0.1:4222", user: { user: "mayfly", password: "secret" } };

async function setting() {
  const XDG_CONFIG_HOME = await temporaryFolder();
  const nats = join(XDG_CONFIG_HOME, "nats");
  await mkdir(join(nats, "context"), { recursive: true });
  return { env: { XDG_CONFIG_HOME }, file: join(nats, "context", "mayfly.json"), selection: join(nats, "context.txt") };
}

describe("the nats CLI's context", () => {
  test("is written for this user alone and selected when none is", async () => {
    const { env, file, selection } = await setting();
    expect(await writeCliContext(server, env)).toEqual({ file, written: true, selected: true });
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readFile(selection, "utf8")).toBe("mayfly");
  });

  test("follows the server to another port", async () => {
    const { env, file } = await setting();
    await writeCliContext(server, env);
    await writeCliContext({ ...server, url: "nats://127.0.0.1:5222" }, env);
    expect(JSON.parse(await readFile(file, "utf8")).url).toBe("nats://127.0.0.1:5222");
  });

  test("leaves a selection alone", async () => {
    const { env, selection } = await setting();
    await writeFile(selection, "work");
    expect(await writeCliContext(server, env)).toMatchObject({ written: true, selected: false });
    expect(await readFile(selection, "utf8")).toBe("work");
    await removeCliContext(env);
    expect(await readFile(selection, "utf8")).toBe("work");
  });

  test("never replaces or removes somebody else's of that name", async () => {
    const { env, file } = await setting();
    const theirs = JSON.stringify({ description: "mine", url: "nats://elsewhere" });
    await writeFile(file, theirs);
    expect(await writeCliContext(server, env)).toMatchObject({ written: false });
    expect(await removeCliContext(env)).toBe(false);
    expect(await readFile(file, "utf8")).toBe(theirs);
  });

  test("is removed with its selection on request", async () => {
    const { env, file, selection } = await setting();
    await writeCliContext(server, env);
    expect(await removeCliContext(env)).toBe(true);
    await expect(stat(file)).rejects.toThrow("ENOENT");
    await expect(stat(selection)).rejects.toThrow("ENOENT");
    expect(await removeCliContext(env)).toBe(false);
  });

  test("makes `nats --context mayfly req` work", async ({ skip }) => {
    const [cli, binary] = [await onPath("nats", process.env), await anyServer()];
    if (!cli || !binary) return skip("no nats CLI or no nats-server on this machine");
    const running = await started(await temporaryHome(), binary.path);
    const { env } = await setting();
    await writeCliContext({ url: running.url, user: running.credentials.mayfly }, env);
    const platform = await connect({
      servers: running.url,
      user: running.credentials.platform.user,
      pass: running.credentials.platform.password,
    });
    onTestFinished(() => platform.close());
    platform.subscribe("mayfly.000000000000.invoke.>", {
      callback: (_error, message) => void message.respond(`${message.subject} ${message.string()}`),
    });
    await platform.flush();
    const args = ["--context", "mayfly", "req", "--raw", "mayfly.invoke.hello", "Ada"];
    const { stdout } = await run(cli, args, { env: { ...process.env, ...env } });
    expect(stdout.trim()).toBe("mayfly.000000000000.invoke.hello Ada");
  });
});
