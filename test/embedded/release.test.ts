import { createHash } from "node:crypto";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { describe, expect, onTestFinished, test } from "vitest";
import { ZipFile } from "yazl";
import { findNatsServer } from "../../bin/embedded/find-nats-server.ts";
import { ProgramMissing } from "../../bin/embedded/find-program.ts";
import { temporaryFolder } from "./temporary-home.ts";

const bare = { PATH: "" };

/** A place with releases: `files` by path. Counts what is asked for. */
async function releases(files: Record<string, Buffer | string>): Promise<{ baseUrl: string; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const path = request.url ?? "";
    asked.push(path);
    const file = files[path];
    response.statusCode = file === undefined ? 404 : 200;
    response.end(file);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return { baseUrl: `http://127.0.0.1:${(server.address() as { port: number }).port}`, asked };
}

/** A release's zip whose program is a script that names its version. */
async function zipOf(version: string): Promise<Buffer> {
  const zip = new ZipFile();
  const script = `#!/bin/sh\necho "nats-server: v${version}"\n`;
  zip.addBuffer(Buffer.from("text"), `nats-server-v${version}-linux-amd64/README.md`);
  zip.addBuffer(Buffer.from(script), `nats-server-v${version}-linux-amd64/nats-server`, { mode: 0o100755 });
  zip.end();
  return buffer(zip.outputStream);
}

async function published(version: string, sum?: string) {
  const zip = await zipOf(version);
  const name = `nats-server-v${version}-linux-amd64.zip`;
  const honest = createHash("sha256").update(zip).digest("hex");
  return releases({
    [`/v${version}/SHA256SUMS`]: `${"0".repeat(64)}  other.zip\n${sum ?? honest}  ${name}\n`,
    [`/v${version}/${name}`]: zip,
  });
}

const linux = { version: "2.14.5", platform: "linux", arch: "x64" };

describe("the official release", () => {
  test("is fetched, checked and kept for the next start", async () => {
    const tools = await temporaryFolder();
    const { baseUrl, asked } = await published("2.14.5");
    const lines: string[] = [];
    const options = {
      tools,
      env: bare,
      release: { ...linux, baseUrl },
      onProgress: (line: string) => lines.push(line),
    };
    const first = await findNatsServer(options);
    expect(first).toMatchObject({ version: "2.14.5", how: "the official release 2.14.5", off: [] });
    expect(first.path).toBe(join(tools, "nats-server-2.14.5", "nats-server"));
    expect(lines.at(-1)).toBe(`nats-server: using version 2.14.5, the official release 2.14.5: ${first.path}`);
    expect(await findNatsServer(options)).toEqual({ ...first, how: "fetched earlier" });
    expect(asked).toHaveLength(2);
    expect(await readdir(tools)).toEqual(["nats-server-2.14.5"]);
  });

  test("is refused when its checksum is wrong, and nothing of it is kept", async () => {
    const tools = await temporaryFolder();
    const { baseUrl } = await published("2.14.5", "ab".repeat(32));
    const refusal = await findNatsServer({ tools, env: bare, release: { ...linux, baseUrl } }).catch((e: unknown) => e);
    expect(refusal).toBeInstanceOf(ProgramMissing);
    expect((refusal as ProgramMissing).tried.join("\n")).toContain("linux-amd64.zip was refused: its SHA-256 is");
    expect(await readdir(tools)).toEqual([]);
  });

  test("is refused when the list of checksums doesn't name it", async () => {
    const { baseUrl } = await releases({ "/v2.14.5/SHA256SUMS": "" });
    const search = findNatsServer({ tools: await temporaryFolder(), env: bare, release: { ...linux, baseUrl } });
    await expect(search).rejects.toThrow("SHA256SUMS doesn't name nats-server-v2.14.5-linux-amd64.zip");
  });

  test("isn't looked for on a platform that has none", async () => {
    const { baseUrl, asked } = await releases({});
    const release = { ...linux, baseUrl, arch: "s390x" };
    const search = findNatsServer({ tools: await temporaryFolder(), env: bare, release });
    await expect(search).rejects.toThrow("there is none for linux on s390x");
    expect(asked).toEqual([]);
  });

  test("may be fetched by two starts at once", async () => {
    const tools = await temporaryFolder();
    const { baseUrl } = await published("2.14.5");
    const options = { tools, env: bare, release: { ...linux, baseUrl } };
    const found = await Promise.all([findNatsServer(options), findNatsServer(options), findNatsServer(options)]);
    expect(new Set(found.map(({ path }) => path)).size).toBe(1);
    expect(await readdir(tools)).toEqual(["nats-server-2.14.5"]);
  });
});
