import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { lackingIf, testUnless } from "../support/unless.ts";
import { olderNodes } from "./older-nodes.ts";
import { runCli } from "./run-cli.ts";

const present = await olderNodes();

async function emptyHome(): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), "mayfly-launcher-"));
  onTestFinished(() => rm(home, { recursive: true, force: true }));
  return home;
}

describe("the launcher", () => {
  it("runs the command, says its version, and hides warnings about experiments", async () => {
    const { version } = JSON.parse(await readFile(new URL("../../package.json", import.meta.url), "utf8"));
    expect(await runCli(["--version"])).toEqual({ code: 0, signal: null, stdout: `${version}\n`, stderr: "" });
  });

  it("ends with 2 and a hint for what it doesn't know", async () => {
    expect(await runCli(["frobnicate"])).toMatchObject({
      code: 2,
      stdout: "",
      stderr: expect.stringMatching(/unknown command 'frobnicate'/),
    });
    expect(await runCli(["ls", "--frobnicate"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("--frobnicate"),
    });
    expect(await runCli(["deploy"])).toMatchObject({ code: 2, stderr: expect.stringContaining("path") });
  });

  it("lists every verb in its help, and each verb's help says what it does", async () => {
    const { stdout } = await runCli(["--help"]);
    const verbs = [
      "up",
      "down",
      "deploy",
      "invoke",
      "logs",
      "ls",
      "show",
      "config",
      "rm",
      "runtime",
      "env",
      "doctor",
      "run",
    ];
    for (const verb of verbs) expect(stdout).toMatch(new RegExp(`^  ${verb}\\b`, "m"));
    expect((await runCli(["deploy", "--help"])).stdout).toContain("mayfly.json");
  });

  it("makes no home for somebody who only asks", async () => {
    const home = join(await emptyHome(), "none");
    expect((await runCli(["ls"], { env: { MAYFLY_HOME: home } })).code).toBe(4);
    await expect(readdir(home)).rejects.toThrow("ENOENT");
  });

  testUnless(lackingIf(present.length === 0, "no older Node.js is installed here")).each(present)(
    "hands over to its own Node.js when run by $runtime",
    async ({ node }) => {
      const home = await emptyHome();
      const said = await runCli(["doctor", "--json"], { node, env: { MAYFLY_HOME: home } });
      const [own] = JSON.parse(said.stdout) as Array<{ name: string; detail: string }>;
      expect(own).toMatchObject({ name: "Node.js", detail: process.versions.node });
      expect(said.stderr).toBe("");
      expect((await runCli(["ls"], { node, env: { MAYFLY_HOME: home } })).code).toBe(4);
    },
  );
});
