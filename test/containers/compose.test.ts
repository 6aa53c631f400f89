/** docker-compose.yml brings up the whole system, and a function deployed into it answers. */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { packageRoot } from "../../bin/package-root.ts";
import { freePort } from "../embedded/any-server.ts";
import { composeCommand, noEngine } from "./engine.ts";
import { buildMayflyImage } from "./mayfly-image.ts";
import { buildNatsImage } from "./nats-image.ts";

const run = promisify(execFile);
const minutes = 60_000;

test("the composed system runs a function that was deployed into it", { timeout: 5 * minutes }, async ({ skip }) => {
  if (noEngine !== undefined) return skip(noEngine);
  const [program, ...before] = await composeCommand().catch(() => skip("neither docker compose nor docker-compose"));
  await using nats = await buildNatsImage();
  await using mayfly = await buildMayflyImage();
  const port = await freePort();
  const secret = randomBytes(16).toString("hex");
  const env = {
    ...process.env,
    NATS_IMAGE: nats.name,
    MAYFLY_IMAGE: mayfly.name,
    MAYFLY_NATS_PORT: String(port),
    MAYFLY_PLATFORM_PASSWORD: secret,
    MAYFLY_PERSON_PASSWORD: randomBytes(16).toString("hex"),
  };
  await using files = await composeFiles(before.length === 0);
  const project = ["--project-name", `mayfly-test-${randomBytes(4).toString("hex")}`];
  const compose = (...args: string[]) =>
    run(program, [...before, ...project, ...files.options, ...args], { env, maxBuffer: 64 * 1024 * 1024 });
  try {
    await compose("up", "--detach", "--no-build");
    const operator = { ...process.env, MAYFLY_NATS_URL: `nats://platform:${secret}@127.0.0.1:${port}` };
    const cli = (...args: string[]) =>
      run(process.execPath, [join(packageRoot, "bin/mayfly.js"), ...args], { env: operator });
    // Each look listens for a heartbeat's time.
    while (zonesIn((await cli("ls", "--workers", "--json")).stdout).join() !== "a,b");
    await cli("deploy", join(packageRoot, "examples/hello"));
    const { stdout } = await cli("invoke", "hello", '{"name":"Ada"}');
    expect(stdout).toContain("Hello, Ada!");
  } catch (error) {
    const { stdout } = await compose("logs", "--no-color");
    throw new Error(`with these logs: ${stdout.slice(-8000)}`, { cause: error });
  } finally {
    await compose("down", "--volumes", "--timeout", "5");
  }
});

const zonesIn = (workers: string): string[] =>
  [...new Set((JSON.parse(workers) as { readonly zone: string }[]).map(({ zone }) => zone))].sort();

/**
 * The project's file as it is, except for the Compose of old (1.x): it passes `systempaths` on to the engine, which
 * doesn't know it. There a second, unmasked view of /proc stands in, which the kernel takes as leave to mount one, too.
 */
async function composeFiles(isOld: boolean): Promise<AsyncDisposable & { readonly options: readonly string[] }> {
  const file = join(packageRoot, "docker-compose.yml");
  if (!isOld) return { options: ["--file", file], async [Symbol.asyncDispose]() {} };
  const folder = await mkdtemp(join(tmpdir(), "mayfly-compose-"));
  const [copy, extra] = [join(folder, "docker-compose.yml"), join(folder, "proc.yml")];
  await writeFile(copy, (await readFile(file, "utf8")).replace(", systempaths=unconfined", ""));
  const services = Object.fromEntries(["worker-a", "worker-b"].map((name) => [name, { volumes: ["/proc:/mnt/proc"] }]));
  await writeFile(extra, JSON.stringify({ services }));
  return {
    options: ["--project-directory", packageRoot, "--file", copy, "--file", extra],
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
