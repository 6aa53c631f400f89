/** The integration suite once more, on a NATS server in a container instead of the embedded one. */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, test, vi } from "vitest";
import { noEngine } from "./engine.ts";
import { buildNatsImage, type LocalImage, startContainerServer } from "./nats-image.ts";

const built = vi.hoisted((): { image: LocalImage | undefined } => ({ image: undefined }));

vi.mock(import("../support/nats.ts"), () => {
  const start = () => startContainerServer(built.image?.name ?? "");
  return { startTestServer: start, startRestartableServer: start };
});

const testFolder = join(import.meta.dirname, "..");
/** Those that take their server from test/support/nats.ts, and therefore take this one. */
const suites = globSync(["bus/**/*.test.ts", "control-plane/**/*.test.ts"], { cwd: testFolder })
  .filter((file) => readFileSync(join(testFolder, file), "utf8").includes("support/nats.ts"))
  .sort();

if (noEngine !== undefined) {
  test("the integration suite passes on NATS in a container", ({ skip }) => skip(noEngine));
} else {
  beforeAll(async () => {
    built.image = await buildNatsImage();
  }, 120_000);
  afterAll(() => built.image?.[Symbol.asyncDispose]());

  for (const file of suites) {
    describe(`on NATS in a container, ${file}`, async () => {
      await import(join(testFolder, file));
    });
  }
}
