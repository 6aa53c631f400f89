import { chmod, mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { externalServer, findNatsServer } from "../../bin/embedded/find-nats-server.ts";
import { ProgramMissing } from "../../bin/embedded/find-program.ts";
import { temporaryFolder } from "./temporary-home.ts";

/** A program that names a version, and nothing else. */
async function program(folder: string, version: string, name = "nats-server"): Promise<string> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, name);
  await writeFile(path, `#!/bin/sh\necho "nats-server: v${version}"\n`);
  await chmod(path, 0o755);
  return path;
}

const look = { mayFetch: false };

describe("the order of the search", () => {
  test("MAYFLY_NATS_SERVER overrules PATH, PATH what was fetched", async () => {
    const folder = await temporaryFolder();
    const tools = join(folder, "tools");
    const named = await program(join(folder, "named"), "2.12.1");
    const present = await program(join(folder, "bin"), "2.12.2");
    const shelved = await program(join(tools, "nats-server-2.12.3"), "2.12.3");
    const PATH = join(folder, "bin");
    const paths = [{ PATH, MAYFLY_NATS_SERVER: named }, { PATH }, {}].map(
      async (env) => (await findNatsServer({ ...look, tools, env })).path,
    );
    expect(await Promise.all(paths)).toEqual([named, present, shelved]);
  });

  test("the newest fetched one that runs is taken", async () => {
    const tools = await temporaryFolder();
    await program(join(tools, "nats-server-2.9.9"), "2.9.9");
    await program(join(tools, "nats-server-2.14.1"), "2.14.1");
    await writeFile(join(await temporaryFolder(), "unrelated"), "");
    await mkdir(join(tools, "nats-server-2.15.0"));
    expect(await findNatsServer({ ...look, tools, env: {} })).toMatchObject({
      version: "2.14.1",
      how: "fetched earlier",
    });
  });

  test("MAYFLY_NATS_URL names a running server", () => {
    expect(externalServer({ MAYFLY_NATS_URL: "nats://nats.example:4222" })).toBe("nats://nats.example:4222");
    expect(externalServer({ MAYFLY_NATS_URL: "" })).toBeUndefined();
  });
});

describe("what isn't usable", () => {
  test("a named program that doesn't run is an error, not passed over", async () => {
    const folder = await temporaryFolder();
    const PATH = join(folder, "bin");
    await program(PATH, "2.14.5");
    const search = findNatsServer({
      ...look,
      tools: folder,
      env: { PATH, MAYFLY_NATS_SERVER: join(folder, "absent") },
    });
    await expect(search).rejects.toThrow(/MAYFLY_NATS_SERVER=.*absent: it doesn't run/);
  });

  test("a server on PATH that is too old is passed over and told", async () => {
    const folder = await temporaryFolder();
    const lines: string[] = [];
    const PATH = join(folder, "bin");
    await program(PATH, "2.1.0");
    const env = { PATH };
    const search = findNatsServer({ ...look, tools: folder, env, onProgress: (line) => lines.push(line) });
    await expect(search).rejects.toThrow(ProgramMissing);
    expect(lines.join()).toContain("is passed over: version 2.1.0 is older than 2.9.0");
  });

  test("an older server is used, with a list of what is off", async () => {
    const folder = await temporaryFolder();
    const lines: string[] = [];
    await program(folder, "2.10.27");
    const env = { PATH: folder };
    const found = await findNatsServer({ ...look, tools: folder, env, onProgress: (line) => lines.push(line) });
    expect(found.off.length).toBeGreaterThan(2);
    for (const line of found.off) expect(lines).toContain(`nats-server 2.10.27: off: ${line}`);
  });

  test("where nothing is to be had, the error says what to do", async () => {
    const refusal = await findNatsServer({ ...look, tools: await temporaryFolder(), env: {} }).catch((e: unknown) => e);
    expect(refusal).toBeInstanceOf(ProgramMissing);
    expect((refusal as ProgramMissing).message).toContain("it isn't on PATH");
    expect((refusal as ProgramMissing).remedy).toContain("MAYFLY_NATS_SERVER");
  });
});

test("what a killed fetcher left behind is cleared by the next one", async () => {
  const tools = await temporaryFolder();
  await program(join(tools, ".bench-4194305-dead"), "2.14.5");
  const release = { baseUrl: "http://127.0.0.1:1" };
  await expect(findNatsServer({ tools, env: {}, release })).rejects.toThrow(ProgramMissing);
  expect(await readdir(tools)).toEqual([]);
});
