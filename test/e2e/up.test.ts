/** Coming up and going down: what a newcomer does first, and what must be left when it ends. */
import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findBubblewrap } from "../../bin/embedded/find-bubblewrap.ts";
import { asUser, mayflyProgram, programs, runMayfly, startMayfly } from "../support/system.ts";

const run = promisify(execFile);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-test-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Processes whose environment names this home: ours, whatever became of their parents. */
async function processesOf(home: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir("/proc")).filter((each) => /^\d+$/.test(each))) {
    const environment = await readFile(`/proc/${pid}/environ`, "utf8").catch(() => "");
    const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (environment.includes(`MAYFLY_HOME=${home}`) || command.includes(home)) found.push(`${pid} ${command}`);
  }
  return found;
}

describe("mayfly up", () => {
  test("deploys the hello example, invokes it cold and warm, and says what to try next", async () => {
    await using system = await startMayfly({ folder, args: [] });
    const output = system.output();
    expect(output).toMatch(/^nats-server \d+\.\d+\.\d+ \(.*\) on nats:\/\/127\.0\.0\.1:\d+, data in /m);
    expect(output).toMatch(/^isolation: bubblewrap; /m);
    expect(output).toContain("deployed examples/hello as hello");
    expect(output).toMatch(/mayfly\.invoke\.hello \{"name":"Ada"\} → \{"message":"Hello, Ada!"/);
    expect(output).toMatch(/cold( from a stem cell)? · .*\n.*\n.*warm · /);
    expect(output).toContain("Try next:");
    const began = performance.now();
    expect(await system.stop()).toBe(0);
    expect(performance.now() - began).toBeLessThan(10_000);
    expect(await processesOf(system.home.root)).toEqual([]);
  });

  test("finds everything still deployed when it starts again, and leaves it alone", async () => {
    await using system = await startMayfly({ folder, args: [] });
    expect(system.output()).toMatch(/hello is deployed \(/);
    expect(system.output()).not.toContain("deployed examples/hello as hello");
    expect(JSON.parse((await system.mayfly("ls", "--json")).stdout)).toMatchObject([{ FunctionName: "hello" }]);
  });

  test("is refused a second time in the same home", async () => {
    await using system = await startMayfly();
    const second = await system.mayfly("up");
    expect(second.code).not.toBe(0);
    expect(second.stderr).toContain("running already");
  });

  test("doesn't need port 4222", async () => {
    // Ours, or somebody else's who may leave it to us at any moment: then it is tried again.
    for (let isShown = false; !isShown; ) {
      const other = createServer().listen(4222, "127.0.0.1");
      const isOurs = await new Promise<boolean>((resolve) => {
        other.once("listening", () => resolve(true));
        other.once("error", () => resolve(false));
      });
      await using system = await startMayfly();
      other.close();
      isShown = isOurs || !system.output().includes("on nats://127.0.0.1:4222,");
      if (!isShown) continue;
      expect(system.output()).toContain("port 4222 is taken");
      expect((await system.mayfly("ls", "--json")).code).toBe(0);
    }
  });

  test("detached, it stays until mayfly down", async () => {
    await using system = await startMayfly();
    const { env, home } = system;
    await system.stop();
    const up = await runMayfly(env, ["up", "--detach", "--no-hello"]);
    expect(up).toMatchObject({ code: 0 });
    expect((await runMayfly(env, ["ls", "--json"])).code).toBe(0);
    const down = await runMayfly(env, ["down"]);
    expect(down).toMatchObject({ code: 0, stdout: "Mayfly has ended.\n" });
    expect(await processesOf(home.root)).toEqual([]);
    expect(await runMayfly(env, ["ls"])).toMatchObject({ code: 4, stderr: expect.stringContaining("isn't running") });
  });

  test("killed without a word, it leaves no process behind, and the next one starts", async () => {
    const place = await mkdtemp(join(tmpdir(), "mayfly-test-"));
    try {
      const first = await startMayfly({ folder: place, args: [] });
      process.kill(first.pid, "SIGKILL");
      await expect.poll(() => processesOf(first.home.root), { timeout: 10_000, interval: 100 }).toEqual([]);
      await using again = await startMayfly({ folder: place, args: [] });
      expect(again.output()).toMatch(/hello is deployed/);
    } finally {
      await rm(place, { recursive: true, force: true });
    }
  });

  test("says what is missing when the host can't isolate, and how to get it, and runs nothing", async () => {
    const env = { ...process.env, MAYFLY_HOME: join(folder, "none"), MAYFLY_BWRAP: "/nowhere/bwrap", PATH: "/nowhere" };
    const refused = await runMayfly(env, ["up"]);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toMatch(/bwrap/);
    expect(await processesOf(join(folder, "none"))).toEqual([]);
  });

  test("says so too when the program is there but the host forbids namespaces", async () => {
    const { path } = await findBubblewrap({ tools: join(folder, "tools") });
    const forbidden = join(folder, "bwrap");
    await writeFile(
      forbidden,
      `#!/bin/sh\ncase "$1" in --version|--help) exec '${path}' "$1";; esac\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n`,
      { mode: 0o755 },
    );
    const home = join(folder, "forbidden");
    const env = {
      ...process.env,
      ...(await programs()),
      MAYFLY_HOME: home,
      MAYFLY_BWRAP: forbidden,
      MAYFLY_SANDBOX: "bubblewrap",
    };
    const refused = await runMayfly({ ...env, XDG_CONFIG_HOME: join(folder, "config") }, ["up"]);
    expect(refused.code).toBe(3);
    expect(refused.stderr).toMatch(
      /workers can't start: IsolationUnavailable: .*No permissions to create new namespace/s,
    );
    expect(await processesOf(home)).toEqual([]);
  });

  test("runs as an ordinary user, with sandboxes of that user's", async (context) => {
    const uid = 20_001;
    const [program = "", ...words] = [...asUser(uid), process.execPath, mayflyProgram, "--version"];
    const reachable = process.geteuid?.() === 0 && (await run(program, words).catch(() => undefined)) !== undefined;
    if (!reachable) return context.skip("needs root, to become another user who can read this checkout");
    await using system = await startMayfly({ args: [], uid });
    expect(system.output()).toMatch(/cold( from a stem cell)? · .*\n.*\n.*warm · /);
    expect(system.output()).toMatch(/isolation: bubblewrap; .*shared uid/);
    expect(system.output()).toContain("`npx mayfly doctor` says what is missing");
    expect(await system.stop()).toBe(0);
    expect(await processesOf(system.home.root)).toEqual([]);
  });

  test("names a setting that is wrong", async () => {
    const env = { ...process.env, MAYFLY_HOME: join(folder, "wrong"), MAYFLY_CONCURRENCY: "many" };
    const refused = await runMayfly(env, ["up"]);
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining("MAYFLY_CONCURRENCY") });
  });
});

test("the command is a program that says its version", async () => {
  expect(mayflyProgram).toMatch(/bin\/mayfly\.js$/);
  expect(await runMayfly(process.env, ["--version"])).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^\d+\.\d+\.\d+/),
  });
});
