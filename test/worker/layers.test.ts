/** Layers laid over each other in the code cache: what a function finds at /opt. */
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, readlink, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CodeCache, CodeMissing } from "../../actors/worker/code-cache.ts";
import type { HandMadeEntry } from "../support/hand-made-zip.ts";
import { Shelf } from "./shelf.ts";

const MIB = 1024 * 1024;
const FILE = 0o100000;
const LINK = 0o120777;

let parent: string;
let store: Shelf;
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), "mayfly-layers-"));
  store = new Shelf();
});
afterEach(() => rm(parent, { recursive: true, force: true }));

const cacheOf = (maxBytes = 64 * MIB) => new CodeCache({ folder: join(parent, "code"), store, maxBytes });

/** What lies at /opt when these layers are named in this order. */
async function opt(...layers: ReadonlyArray<readonly HandMadeEntry[]>): Promise<string> {
  using code = await cacheOf().useLayers(layers.map((entries) => store.add(entries)));
  return code.folder;
}

const file = (name: string, content: string): HandMadeEntry => ({ name, content, mode: FILE | 0o644 });

describe("layers laid over each other", () => {
  it("are joined folder by folder, and a later one wins", async () => {
    const place = await opt(
      [file("nodejs/a.js", "first"), file("nodejs/b.js", "first"), { name: "empty/" }],
      [file("nodejs/b.js", "second"), file("python/c.py", "second")],
      [file("nodejs/b.js", "third")],
    );
    const read = (name: string) => readFile(join(place, name), "utf8");
    expect(await Promise.all(["nodejs/a.js", "nodejs/b.js", "python/c.py"].map(read))).toEqual([
      "first",
      "third",
      "second",
    ]);
    expect((await readdir(place)).sort()).toEqual(["empty", "nodejs", "python"]);
  });

  it("in another order are another set", async () => {
    const [one, other] = [store.add([file("a", "one")]), store.add([file("a", "other")])];
    const cache = cacheOf();
    using forth = await cache.useLayers([one, other]);
    using back = await cache.useLayers([other, one]);
    const read = ({ folder }: { folder: string }) => readFile(join(folder, "a"), "utf8");
    expect([await read(forth), await read(back)]).toEqual(["other", "one"]);
  });

  it("replace a file by a folder and a folder by a file", async () => {
    const place = await opt([file("a", "file"), file("b/c", "below")], [file("a/d", "below"), file("b", "file")]);
    expect([await readFile(join(place, "a/d"), "utf8"), await readFile(join(place, "b"), "utf8")]).toEqual([
      "below",
      "file",
    ]);
  });

  it("never write through a link of an earlier one", async () => {
    const place = await opt(
      [
        file("real/a", "kept"),
        { name: "way", content: "real", mode: LINK },
        { name: "l", content: "real/a", mode: LINK },
      ],
      [file("way/a", "new"), file("l", "new"), { name: "to", content: "way/a", mode: LINK }],
    );
    const read = (name: string) => readFile(join(place, name), "utf8");
    expect(await Promise.all(["real/a", "way/a", "l", "to"].map(read))).toEqual(["kept", "new", "new", "new"]);
    expect(await readlink(join(place, "to"))).toBe("way/a");
  });

  it("keep what may be executed", async () => {
    const script = { name: "extensions/watch", content: "#!/bin/sh", mode: FILE | 0o755 };
    const place = await opt([script], [file("extensions/data", "x")]);
    const mode = async (name: string) => ((await stat(join(place, name))).mode & 0o777).toString(8);
    expect(await Promise.all(["", "extensions", "extensions/watch", "extensions/data"].map(mode))).toEqual([
      "755",
      "755",
      "755",
      "644",
    ]);
  });
});

describe("a set", () => {
  it("is made once for all who ask, of layers fetched once, and outlives its process", async () => {
    const shas = [store.add([file("a", "a")]), store.add([file("b", "b")])];
    const cache = cacheOf();
    const uses = await Promise.all(Array.from({ length: 20 }, () => cache.useLayers(shas)));
    expect(new Set(uses.map(({ folder }) => folder)).size).toBe(1);
    expect(store.fetches).toBe(2);
    using again = await cacheOf().useLayers(shas);
    expect([again.folder, store.fetches]).toEqual([uses[0]?.folder, 2]);
  });

  it("of one layer is that layer, and shares the disk with the sets it is in", async () => {
    const [one, other] = [store.add([file("a", "a")]), store.add([file("b", "b")])];
    const cache = cacheOf();
    using alone = await cache.useLayers([one]);
    using both = await cache.useLayers([one, other]);
    using plain = await cache.use(one);
    expect(alone.folder).toBe(plain.folder);
    expect((await stat(join(both.folder, "a"))).ino).toBe((await stat(join(alone.folder, "a"))).ino);
  });

  it("stays whole when its layers are evicted, and goes itself when its room is needed", async () => {
    const [one, other] = ["1", "2"].map((text) => store.add([file(`big-${text}`, text.repeat(MIB / 2))]));
    const cache = cacheOf(1.2 * MIB);
    const used = await cache.useLayers([one ?? "", other ?? ""]);
    await cache.close();
    expect(existsSync(join(used.folder, "..", one ?? ""))).toBe(false);
    expect((await readFile(join(used.folder, "big-1"), "utf8")).length).toBe(MIB / 2);
    used[Symbol.dispose]();
    using _big = await cache.use(store.add([file("big", "3".repeat(MIB))]));
    await cache.close();
    expect(existsSync(used.folder)).toBe(false);
  });

  it("with a layer that nobody has stored is refused by that layer's name, and leaves nothing", async () => {
    const there = store.add([file("a", "a")]);
    const cache = cacheOf();
    const missing = "0".repeat(64);
    await expect(cache.useLayers([there, missing])).rejects.toThrow(CodeMissing);
    await expect(cache.useLayers([there, missing])).rejects.toThrow(`code package ${missing}: nobody has stored it`);
    const [boot = ""] = await readdir(join(parent, "code"));
    expect(await readdir(join(parent, "code", boot))).toEqual([there]);
  });
});
