import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readFile, readlink, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { CodeCache } from "../../actors/worker/code-cache.ts";
import { Misused } from "../../bin/failure.ts";
import { PackageUnfit } from "../../bin/package/contents.ts";
import { readFolder } from "../../bin/package/folder.ts";
import { ignoring } from "../../bin/package/ignore.ts";
import { parseManifest } from "../../bin/package/manifest.ts";
import { pack } from "../../bin/package/pack.ts";
import { readZip } from "../../bin/package/zip.ts";
import { handMadeZip } from "../support/hand-made-zip.ts";
import { UNSAFE_PACKAGES } from "../support/unsafe-packages.ts";

const PIPE = "mkfifo lib/odd";
/** Makes a file some four thousand bytes deep. */
const DEEP = "n=$(printf d%.0s $(seq 200)); for i in $(seq 16); do mkdir $n; cd $n; done; touch f";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "mayfly-package-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function write(files: Readonly<Record<string, string>>, under = "fn"): Promise<string> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, under, name)), { recursive: true });
    await writeFile(join(root, under, name), content);
  }
  return join(root, under);
}

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const packed = async (folder: string) => pack(await readFolder(folder));

describe("packing a folder", () => {
  it("gives the same bytes for the same content, whatever the times, the order and the other modes", async () => {
    const one = await write({ "b.js": "b", "a/x.js": "x", run: "#!" }, "one");
    const two = await write({ run: "#!", "a/x.js": "x", "b.js": "b" }, "two");
    await chmod(join(one, "run"), 0o700);
    await chmod(join(two, "run"), 0o755);
    await chmod(join(two, "b.js"), 0o600);
    await utimes(join(two, "b.js"), 1, 1);
    expect(sha256(await packed(one))).toBe(sha256(await packed(two)));
    await chmod(join(two, "run"), 0o644);
    expect(sha256(await packed(one))).not.toBe(sha256(await packed(two)));
  });

  it("makes what a worker unpacks to the same files, modes and links", async () => {
    const folder = await write({ "index.mjs": "code", "node_modules/tool/cli.js": "#!tool" });
    await chmod(join(folder, "node_modules/tool/cli.js"), 0o755);
    await mkdir(join(folder, "node_modules/.bin"));
    await symlink("../tool/cli.js", join(folder, "node_modules/.bin/tool"));
    const zip = await packed(folder);
    const cache = new CodeCache({ folder: join(root, "cache"), store: { get: async () => zip }, maxBytes: 1e6 });
    const place = await cache.folderOf(sha256(zip));
    expect(await readFile(join(place, "index.mjs"), "utf8")).toBe("code");
    expect(await readlink(join(place, "node_modules/.bin/tool"))).toBe("../tool/cli.js");
    expect(await readFile(join(place, "node_modules/.bin/tool"), "utf8")).toBe("#!tool");
    const { files } = await readZip(await written(zip));
    expect(files.get("node_modules/tool/cli.js")?.executable).toBe(true);
    expect(files.get("index.mjs")?.executable).toBe(false);
  });

  it("takes in what links from outside lead to", async () => {
    const folder = await write({ "index.mjs": "code" });
    const library = await write({ "package.json": "{}", "deep/lib.js": "lib" }, "library");
    await mkdir(join(folder, "node_modules"));
    await symlink(library, join(folder, "node_modules/library"));
    const { files, links } = await readFolder(folder);
    expect([...files.keys()].sort()).toEqual([
      "index.mjs",
      "node_modules/library/deep/lib.js",
      "node_modules/library/package.json",
    ]);
    expect(links).toEqual([]);
  });

  it("refuses a link that leads nowhere, or round in a circle outside", async () => {
    const dangling = await write({ "index.mjs": "" }, "dangling");
    await symlink("gone", join(dangling, "link"));
    await expect(readFolder(dangling)).rejects.toThrow(PackageUnfit);
    const outside = await write({ "lib.js": "" }, "outside");
    await symlink(".", join(outside, "again"));
    const circle = await write({ "index.mjs": "" }, "circle");
    await symlink(outside, join(circle, "outside"));
    await expect(readFolder(circle)).rejects.toThrow(PackageUnfit);
  });

  it.each<[string, (folder: string) => unknown, RegExp]>([
    ["a pipe", (cwd) => execFileSync("sh", ["-c", PIPE], { cwd }), /^"lib\/odd" is a pipe$/],
    ["a socket", (folder) => listeningAt(join(folder, "lib/odd")), /^"lib\/odd" is a socket$/],
    [
      "a path longer than a worker can have",
      (cwd) => execFileSync("sh", ["-c", DEEP], { cwd }),
      /^"d{120}…" is too long a name$/,
    ],
    [
      "a name that is no UTF-8",
      (cwd) => writeFile(Buffer.concat([Buffer.from(`${cwd}/lib/`), Buffer.from([0xff])]), ""),
      /^"lib\/\ufffd" is no UTF-8$/,
    ],
    [
      "a name that a zip can't hold",
      (folder) => writeFile(join(folder, "lib\\odd"), ""),
      /^"lib\\\\odd" holds a backslash, which a zip takes for a slash$/,
    ],
    ["a name like a drive's", (folder) => writeFile(join(folder, "C:odd"), ""), /^"C:odd" is an absolute name$/],
  ])("refuses %s, by its name, unless it is left out", async (_, make, message) => {
    const folder = await write({ "index.mjs": "", "lib/a.mjs": "" });
    await make(folder);
    const refused = await readFolder(folder).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(PackageUnfit);
    expect(refused).toMatchObject({
      message: expect.stringMatching(message),
      remedy: expect.stringContaining(".mayflyignore"),
    });
    await write({ ".mayflyignore": "/lib*\nC:*\nd*/\n" });
    expect([...(await readFolder(folder)).files.keys()]).toEqual(["index.mjs"]);
  });

  it("refuses a link to what is neither file nor folder", async () => {
    const folder = await write({ "index.mjs": "" });
    await symlink("/dev/null", join(folder, "void"));
    await expect(readFolder(folder)).rejects.toThrow(/^"void" is a device$/);
  });

  it("leaves out version control, its own files, and what .mayflyignore names", async () => {
    const folder = await write({
      "index.mjs": "",
      ".git/HEAD": "",
      "mayfly.json": "{}",
      ".mayflyignore": "*.test.mjs\n/docs/\n",
      "src/a.test.mjs": "",
      "docs/a.md": "",
      "src/docs/b.md": "",
    });
    expect([...(await readFolder(folder)).files.keys()].sort()).toEqual(["index.mjs", "src/docs/b.md"]);
  });

  it("refuses a zip that a worker wouldn't unpack, before anything is sent", async () => {
    for (const [what, entries] of Object.entries(UNSAFE_PACKAGES)) {
      if (/out of|to nothing|to an absolute|through another/.test(what)) continue;
      const zip = await written(handMadeZip(entries));
      await expect(readZip(zip), what).rejects.toThrow(PackageUnfit);
    }
  });

  it("refuses what isn't a zip, by name", async () => {
    const folder = await write({ "a.zip": "not a zip" });
    await expect(readZip(join(folder, "a.zip"))).rejects.toThrow(PackageUnfit);
  });
});

describe("a .mayflyignore", () => {
  it.each([
    ["*.log", "a.log", false, true],
    ["*.log", "deep/er/a.log", false, true],
    ["/a.log", "deep/a.log", false, false],
    ["docs/", "docs", true, true],
    ["docs/", "docs", false, false],
    ["src/*.ts", "src/a.ts", false, true],
    ["src/*.ts", "src/deep/a.ts", false, false],
    ["src/**/*.ts", "src/deep/er/a.ts", false, true],
    ["# a comment", "# a comment", false, false],
    ["*.log\n!keep.log", "keep.log", false, false],
    ["", ".git", true, true],
  ])("%j leaves out %s (folder: %s): %s", (text, name, isFolder, ignored) => {
    expect(ignoring(text)(name, isFolder)).toBe(ignored);
  });
});

describe("a mayfly.json", () => {
  it("says by name what is misspelt or of the wrong kind", () => {
    expect(parseManifest('{"memory":256,"environment":{"A":"b"}}', "f")).toEqual({
      memory: 256,
      environment: { A: "b" },
    });
    expect(() => parseManifest('{"memroy":256}', "f")).toThrow(/"memroy"/);
    expect(() => parseManifest('{"memory":"256"}', "f")).toThrow(/"memory" must be a whole number/);
    expect(() => parseManifest('{"environment":{"A":1}}', "f")).toThrow(Misused);
    expect(() => parseManifest("{", "f")).toThrow(Misused);
    expect(() => parseManifest('{"toString":"x"}', "f")).toThrow(Misused);
  });
});

async function listeningAt(path: string): Promise<void> {
  const server = createServer().listen(path);
  onTestFinished(() => void server.close());
  await once(server, "listening");
}

async function written(zip: Uint8Array): Promise<string> {
  await writeFile(join(root, "packed.zip"), zip);
  return join(root, "packed.zip");
}
