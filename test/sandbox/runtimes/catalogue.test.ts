import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { knownRuntimes, listRuntimes, resolveRuntime } from "../../../actors/sandbox/runtimes/catalogue.ts";
import { installRuntime } from "../../../actors/sandbox/runtimes/install.ts";

const run = promisify(execFile);
let home: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "mayfly-home-"));
});

afterAll(() => rm(home, { recursive: true, force: true }));

/** The host's path of the command's first word. */
function hostPath(runtime: { command: readonly string[]; mounts: readonly { from: string; to: string }[] }): string {
  return runtime.mounts.find((mount) => mount.to === runtime.command[0])?.from ?? runtime.command[0]!;
}

describe("resolving", () => {
  test("nodejs24.x is the Node.js that comes with Mayfly", async () => {
    const runtime = await resolveRuntime("nodejs24.x", { home });
    const { stdout } = await run(hostPath(runtime), ["--version"]);
    expect(stdout.trim()).toBe(`v${runtime.version}`);
    expect(runtime.version).toMatch(/^24\./);
    expect(runtime.command.at(-1)).toBe("/var/runtime/bootstrap.cjs");
  });

  test("V8's heap leaves room for the rest of the process", async () => {
    const heapMiB = async (memoryMiB: number) =>
      Number(
        (await resolveRuntime("nodejs24.x", { home, memoryMiB })).command.join(" ").match(/old-space-size=(\d+)/)?.[1],
      );
    expect([await heapMiB(128), await heapMiB(1024)]).toEqual([80, 921]);
  });

  test("a Python is the one whose version was asked for", async () => {
    const python = (await listRuntimes({ home })).find(
      ({ runtime, version }) => runtime.startsWith("python") && version,
    );
    if (!python) return;
    const runtime = await resolveRuntime(python.runtime, { home });
    expect(`python${runtime.version}`.startsWith(`${python.runtime}.`)).toBe(true);
    expect(runtime.command.at(-1)).toBe("/var/runtime/bootstrap.py");
  });

  test("custom runtimes are hosted by Mayfly's own Node.js", async () => {
    const runtime = await resolveRuntime("provided.al2023", { home });
    expect(runtime.mounts.map(({ to }) => to)).toEqual([
      "/var/lang/bin/node",
      "/var/runtime/host",
      "/var/runtime/nodejs",
    ]);
    expect(runtime.overheadMiB).toBeGreaterThan(0);
  });

  test("what isn't there says what would help", async () => {
    // Any but the one that runs this test, which would do.
    const missing = process.versions.node.startsWith("26.") ? "nodejs20.x" : "nodejs26.x";
    await expect(resolveRuntime(missing, { home })).rejects.toMatchObject({
      name: "RuntimeNotInstalled",
      runtime: missing,
      remedy: `Install it with: mayfly runtime install ${missing}`,
    });
    await expect(resolveRuntime("cobol85", { home })).rejects.toMatchObject({ name: "RuntimeNotInstalled" });
  });

  test("the list tells of every runtime either its version or its remedy", async () => {
    const list = await listRuntimes({ home });
    expect(list.map(({ runtime }) => runtime)).toEqual(knownRuntimes);
    expect(list.filter(({ version, remedy }) => (version === null) === (remedy === null))).toEqual([]);
  });
});

describe("installing", () => {
  test("fetches another Node.js once for all who ask, and leaves nothing half done", async ({ skip }) => {
    const lines: string[] = [];
    const install = () => installRuntime("nodejs22.x", { home, onProgress: (line) => lines.push(line) });
    let installed: Awaited<ReturnType<typeof install>>[];
    try {
      installed = await Promise.all([install(), install()]);
    } catch (error) {
      return skip(`no package registry here: ${error}`);
    }
    expect(installed[0]).toEqual(installed[1]);
    const { stdout } = await run(hostPath(installed[0]!), ["--version"]);
    expect(stdout.trim()).toBe(`v${installed[0]?.version}`);
    expect(await readdir(join(home, "runtimes"))).toEqual(["nodejs22.x"]);
    expect(lines.length).toBeGreaterThan(0);
  }, 120_000);

  test("refuses what npm doesn't have", async () => {
    await expect(installRuntime("cobol85", { home })).rejects.toMatchObject({ name: "RuntimeNotInstalled" });
  });
});
