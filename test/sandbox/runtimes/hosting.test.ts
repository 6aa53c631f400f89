import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { bringsExtensions } from "../../../actors/sandbox/runtimes/hosting.ts";

let layers: string;
beforeEach(async () => {
  layers = await mkdtemp(join(tmpdir(), "mayfly-layers-"));
});
afterEach(() => rm(layers, { recursive: true }));

const brings = (to = "/opt") => bringsExtensions([{ from: layers, to }]);
async function write(name: string, mode: number) {
  await writeFile(join(layers, name), "");
  await chmod(join(layers, name), mode);
}

test("layers bring extensions when something in extensions/ can be executed", async () => {
  expect(await brings()).toBe(false);
  await mkdir(join(layers, "extensions/folder"), { recursive: true });
  await write("extensions/readme.txt", 0o644);
  expect(await brings()).toBe(false);
  await write("extensions/it", 0o755);
  expect(await brings()).toBe(true);
  expect(await brings("/var/task")).toBe(false);
});

test("layers can switch extensions off", async () => {
  await mkdir(join(layers, "extensions"));
  await write("extensions/it", 0o755);
  await write("disable-extensions-jwigqn8j", 0o644);
  expect(await brings()).toBe(false);
});
