import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { CodeCache, CodeCorrupt, CodeMissing, CodeUnsafe } from "../../actors/worker/code-cache.ts";
import type { UnpackLimits } from "../../actors/worker/unpack.ts";
import { type HandMadeEntry, handMadeZip } from "./hand-made-zip.ts";
import { Shelf } from "./shelf.ts";

const MIB = 1024 * 1024;
const FILE = 0o100000;
const LINK = 0o120000;

let parent: string;
let folder: string;
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), "mayfly-code-"));
  folder = join(parent, "code");
});
afterEach(() => rm(parent, { recursive: true, force: true }));

const cacheOf = (store: Shelf, maxBytes = 64 * MIB, limits?: UnpackLimits) =>
  new CodeCache({ folder, store, maxBytes, ...(limits === undefined ? {} : { limits }) });

/** Everything that lies in the cache's folder, but for the folder of this boot. */
async function names(): Promise<string[]> {
  const [boot] = await readdir(folder);
  return (await readdir(join(folder, boot!))).sort();
}

describe("a code cache", () => {
  it("unpacks files, folders and links that stay inside, with modes everybody can read", async () => {
    const store = new Shelf();
    const sha256 = store.add([
      { name: "index.mjs", content: "export {}" },
      { name: "bootstrap", content: "#!/bin/sh", mode: FILE | 0o700 },
      { name: "secret", content: "s", mode: FILE | 0o6600, stored: true },
      { name: "open", content: "", mode: FILE | 0o777 },
      { name: "large", content: "l".repeat(MIB), mode: FILE | 0o777 },
      { name: "node_modules/.bin/tool", content: "../tool/cli.js", mode: LINK | 0o777 },
      { name: "node_modules/tool/cli.js", content: "tool()" },
      { name: "empty/" },
      { name: "win\\dows.txt", content: "w" },
    ]);
    const umask = process.umask(0o077);
    onTestFinished(() => void process.umask(umask));
    const place = await cacheOf(store).folderOf(sha256);
    const mode = async (name: string) => ((await stat(join(place, name))).mode & 0o7777).toString(8);
    expect(await readFile(join(place, "index.mjs"), "utf8")).toBe("export {}");
    expect(await readFile(join(place, "node_modules/.bin/tool"), "utf8")).toBe("tool()");
    expect(await readlink(join(place, "node_modules/.bin/tool"))).toBe("../tool/cli.js");
    expect(await readFile(join(place, "win/dows.txt"), "utf8")).toBe("w");
    expect((await stat(join(place, "large"))).size).toBe(MIB);
    expect(
      await Promise.all(["", "index.mjs", "bootstrap", "secret", "open", "large", "empty", "win"].map(mode)),
    ).toEqual(["755", "644", "744", "644", "755", "755", "755", "755"]);
  });

  it("fetches a package once for all who ask at the same time, and not again later", async () => {
    const store = new Shelf();
    const sha256 = store.add([{ name: "a", content: "a" }]);
    const cache = cacheOf(store);
    const places = await Promise.all(Array.from({ length: 20 }, () => cache.folderOf(sha256)));
    expect(new Set(places).size).toBe(1);
    await cache.folderOf(sha256);
    expect(store.fetches).toBe(1);
  });

  it("outlives its process, and removes what an interrupted one left half done", async () => {
    const store = new Shelf();
    const sha256 = store.add([{ name: "a", content: "a" }]);
    const place = await cacheOf(store).folderOf(sha256);
    const half = join(place, "..", ".draft-interrupted");
    await mkdir(half);
    await writeFile(join(half, "a"), "half");
    expect(await cacheOf(store).folderOf(sha256)).toBe(place);
    expect(store.fetches).toBe(1);
    expect(await names()).toEqual([sha256]);
  });

  it("does not trust what was unpacked before the machine last booted", async () => {
    const store = new Shelf();
    const sha256 = store.add([{ name: "a", content: "a" }]);
    const before = join(folder, "another-boot", sha256);
    await mkdir(before, { recursive: true });
    await writeFile(join(before, "a"), "");
    expect(await readFile(join(await cacheOf(store).folderOf(sha256), "a"), "utf8")).toBe("a");
    expect(existsSync(before)).toBe(false);
  });

  it("fetches again what somebody has removed, alone or with all the rest, and says that it isn't what it was", async () => {
    const store = new Shelf();
    const sha256 = store.add([{ name: "a", content: "a" }]);
    const other = store.add([{ name: "b", content: "b" }]);
    const cache = cacheOf(store);
    for (const removed of [(await cache.folderOf(sha256)) ?? "", folder]) {
      using before = await cache.use(sha256);
      expect(before.isThere()).toBe(true);
      await rm(removed, { recursive: true });
      expect(before.isThere()).toBe(false);
      const [place] = await Promise.all([cache.folderOf(sha256), cache.folderOf(sha256)]);
      expect(await readFile(join(place, "a"), "utf8")).toBe("a");
      expect(before.isThere()).toBe(false);
    }
    expect(store.fetches).toBe(3);
    expect(await readFile(join(await cache.folderOf(other), "b"), "utf8")).toBe("b");
  });

  it("goes on where somebody has removed what is to go", async () => {
    const store = new Shelf();
    const [one, two] = ["a", "b"].map((name) => store.add([{ name, content: name }]));
    const cache = cacheOf(store, 1);
    await rm(await cache.folderOf(one ?? ""), { recursive: true });
    expect(existsSync(await cache.folderOf(two ?? ""))).toBe(true);
  });

  it("asks again after a failure", async () => {
    const store = new Shelf();
    const cache = cacheOf(store);
    const zip = handMadeZip([{ name: "a", content: "a" }]);
    const sha256 = createHash("sha256").update(zip).digest("hex");
    await expect(cache.folderOf(sha256)).rejects.toThrow(CodeMissing);
    store.addBytes(zip);
    expect(existsSync(await cache.folderOf(sha256))).toBe(true);
  });

  it("says by name that a package is missing, and never takes a name for a path", async () => {
    const cache = cacheOf(new Shelf());
    await expect(cache.folderOf("0".repeat(64))).rejects.toThrow(CodeMissing);
    await expect(cache.folderOf("../../etc")).rejects.toThrow(CodeMissing);
    expect(await names()).toEqual([]);
  });

  it("refuses what has another SHA-256 than its name, or is no zip", async () => {
    const store = new Shelf();
    store.packages.set("a".repeat(64), handMadeZip([{ name: "a" }]));
    const torn = handMadeZip([{ name: "a", content: "a".repeat(1000) }]);
    const noise = store.addBytes(randomBytes(1000));
    const cut = store.addBytes(torn.subarray(0, torn.length - 30));
    const encrypted = store.add([{ name: "a", content: "a", encrypted: true }]);
    const cache = cacheOf(store);
    for (const sha256 of ["a".repeat(64), noise, cut, encrypted]) {
      await expect(cache.folderOf(sha256), sha256).rejects.toThrow(CodeCorrupt);
    }
    expect(await names()).toEqual([]);
  });

  it("removes the least recently used packages when they take too much, also those of an earlier process", async () => {
    const store = new Shelf();
    const shas = ["1", "2", "3"].map((text) => store.add([{ name: "big", content: text.repeat(MIB), mode: FILE }]));
    const [first, second, third] = shas as [string, string, string];
    const earlier = cacheOf(store, 2.5 * MIB);
    await earlier.folderOf(first);
    await earlier.folderOf(second);
    await earlier.folderOf(first);
    const cache = cacheOf(store, 2.5 * MIB);
    await cache.folderOf(third);
    await cache.close();
    expect(await names()).toEqual([first, third].sort());
  });

  it("never removes what is in use, and does once it no longer is", async () => {
    const store = new Shelf();
    const used = store.add([{ name: "big", content: "u".repeat(MIB) }]);
    const other = store.add([{ name: "big", content: "o".repeat(MIB) }]);
    const cache = cacheOf(store, MIB / 2);
    const code = await cache.use(used);
    await cache.folderOf(other);
    expect(existsSync(join(code.folder, "big"))).toBe(true);
    code[Symbol.dispose]();
    code[Symbol.dispose]();
    using again = await cache.use(other);
    await cache.close();
    expect(await names()).toEqual([other]);
    expect(existsSync(again.folder)).toBe(true);
  });

  it("gives everyone a whole package while packages come and go", async () => {
    const store = new Shelf();
    const shas = Array.from({ length: 6 }, (_, at) => store.add([{ name: "a", content: String(at) }, { name: "b/c" }]));
    const cache = cacheOf(store, 30_000);
    const user = async (seed: number) => {
      for (let turn = 0; turn < 30; turn++) {
        const at = (seed * 7 + turn * (seed + 1)) % shas.length;
        using code = await cache.use(shas[at]!);
        expect(await readFile(join(code.folder, "a"), "utf8")).toBe(String(at));
        expect(await readdir(join(code.folder, "b"))).toEqual(["c"]);
      }
    };
    await Promise.all(Array.from({ length: 8 }, (_, seed) => user(seed)));
    expect(store.fetches).toBeGreaterThan(shas.length);
    await cache.close();
  });
});

describe("a hostile package", () => {
  const hostile: Record<string, readonly HandMadeEntry[]> = {
    "an absolute name": [{ name: "/etc/passwd", content: "x" }],
    "a drive's name": [{ name: "C:/windows", content: "x" }],
    "a name that climbs out": [{ name: "a/../../escaped", content: "x" }],
    "a name that climbs out with backslashes": [{ name: "..\\..\\escaped", content: "x" }],
    "a NUL in a name": [{ name: "a\0b", content: "x" }],
    "a name longer than Linux allows": [{ name: "a".repeat(256), content: "x" }],
    "a file without a name": [{ name: "", content: "x" }],
    "the same name twice": [
      { name: "a", content: "1" },
      { name: "./a", content: "2" },
    ],
    "a folder where a file is": [{ name: "a", content: "1" }, { name: "a/b" }],
    "a file where a folder is": [{ name: "a/b" }, { name: "a", content: "1" }],
    "a link out of the package": [{ name: "a", content: "../escaped", mode: LINK | 0o777 }],
    "a link to an absolute name": [{ name: "a", content: "/etc/passwd", mode: LINK | 0o777 }],
    "a link that climbs out through another": [
      { name: "x/" },
      { name: "a/b/one", content: "../../x", mode: LINK | 0o777 },
      { name: "a/b/two", content: "one/../..", mode: LINK | 0o777 },
    ],
    "a file below a link": [
      { name: "a", content: ".", mode: LINK | 0o777 },
      { name: "a/b", content: "x" },
    ],
    "a file in place of a link": [
      { name: "a", content: "b", mode: LINK | 0o777 },
      { name: "a", content: "x" },
    ],
    "a device": [{ name: "a", mode: 0o020666 }],
    "a pipe": [{ name: "a", mode: 0o010666 }],
    "a socket": [{ name: "a", mode: 0o140666 }],
    "too many entries": Array.from({ length: 41 }, (_, at) => ({ name: `f${at}` })),
    "too many folders in a name": [{ name: `${"d/".repeat(45)}f` }],
    "too many bytes": [
      { name: "a", content: "a".repeat(60_000) },
      { name: "b", content: "b".repeat(60_000) },
    ],
  };

  it.each(Object.entries(hostile))("with %s is refused as unsafe, and leaves nothing", async (_, entries) => {
    const store = new Shelf();
    const sha256 = store.add(entries);
    const cache = cacheOf(store, MIB, { bytes: 100_000, entries: 40 });
    await expect(cache.folderOf(sha256)).rejects.toThrow(CodeUnsafe);
    expect(await names()).toEqual([]);
    expect(await readdir(parent)).toEqual(["code"]);
  });

  it.each([
    ["fewer bytes than it holds", 80_000, 10],
    ["no bytes but holds some", 80_000, 0],
    ["more bytes than it holds", 80_000, 90_000],
    ["fewer bytes than its many", 900_000, 500_000],
    ["more bytes than its many", 900_000, 950_000],
  ])("that claims %s is refused as corrupt", async (_, bytes, claimedBytes) => {
    const store = new Shelf();
    const sha256 = store.add([{ name: "bomb", content: "0".repeat(bytes), claimedBytes }]);
    await expect(cacheOf(store, MIB, { bytes: MIB, entries: 40 }).folderOf(sha256)).rejects.toThrow(CodeCorrupt);
    expect(await names()).toEqual([]);
  });
});
