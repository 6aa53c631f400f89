/** docker-compose.yml brings up the whole system, and a function deployed into it answers. */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { packageRoot } from "../../bin/package-root.ts";
import { freePort } from "../embedded/any-server.ts";
import { type Composition, compose } from "./composition.ts";
import { noCompose, noEngine } from "./engine.ts";
import { buildMayflyImage } from "./mayfly-image.ts";
import { buildNatsImage } from "./nats-image.ts";

const run = promisify(execFile);
const minute = 60_000;
/** Each listens for a heartbeat's time at least. */
const looksForWorkers = 30;

test("the composed system runs a function that was deployed into it", { timeout: 5 * minute }, async ({ skip }) => {
  const lacking = noEngine ?? noCompose;
  if (lacking !== undefined) return skip(lacking);
  await using nats = await buildNatsImage();
  await using mayfly = await buildMayflyImage();
  const port = await freePort();
  const secret = randomBytes(16).toString("hex");
  await using composition = await compose({
    NATS_IMAGE: nats.name,
    MAYFLY_IMAGE: mayfly.name,
    MAYFLY_NATS_PORT: String(port),
    MAYFLY_PLATFORM_PASSWORD: secret,
    MAYFLY_PERSON_PASSWORD: randomBytes(16).toString("hex"),
  });
  const operator = { ...process.env, MAYFLY_NATS_URL: `nats://platform:${secret}@127.0.0.1:${port}` };
  const cli = async (...args: string[]): Promise<string> =>
    (await run(process.execPath, [join(packageRoot, "bin/mayfly.js"), ...args], { env: operator })).stdout;

  await telling(composition, async () => {
    await composition.up();
    let zones = "";
    for (let look = 0; look < looksForWorkers && zones !== "a,b"; look++) {
      zones = zonesIn(await cli("ls", "--workers", "--json")).join();
    }
    expect(zones).toBe("a,b");
    await cli("deploy", join(packageRoot, "examples/hello"));
    expect(await cli("invoke", "hello", '{"name":"Ada"}')).toContain("Hello, Ada!");
  });
});

const zonesIn = (workers: string): string[] =>
  [...new Set((JSON.parse(workers) as { readonly zone: string }[]).map(({ zone }) => zone))].sort();

/** With a failure comes what the containers said. */
async function telling(composition: Composition, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${(await composition.logs()).slice(-8000)}`, { cause: error });
  }
}
