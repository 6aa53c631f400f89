import { spawn } from "node:child_process";
import { expect, test } from "vitest";
import { begun } from "../../../actors/sandbox/drivers/begun.ts";

test("a process that began is given as it is", async () => {
  const child = await begun(() => spawn("/bin/sh", ["-c", "exit 3"]));
  expect(child.pid).toBeGreaterThan(0);
  const code = await new Promise((resolve) => child.once("exit", resolve));
  expect(code).toBe(3);
});

test("one that there is none of is refused with its reason, whether Node throws it or tells it", async () => {
  const none = begun(() => spawn("/nowhere/program", [], { stdio: ["pipe", "pipe", "pipe"] }));
  await expect(none).rejects.toMatchObject({ name: "BootFailed", message: expect.stringContaining("ENOENT") });
  const thrown = begun(() => spawn("/bin/true", ["x".repeat(1 << 22)]));
  await expect(thrown).rejects.toMatchObject({ name: "BootFailed", message: expect.stringContaining("E2BIG") });
});
