/** A worker that is killed with `kill -9` while it unpacks: what it left half done is never used. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { CodeCache } from "../../actors/worker/code-cache.ts";
import { Shelf } from "./shelf.ts";

const PROGRAM = fileURLToPath(new URL("fetching-process.ts", import.meta.url));
const FILES = 3000;

let parent: string;
let shelf: string;
let folder: string;
let store: Shelf;
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), "mayfly-killed-"));
  [shelf, folder] = [join(parent, "shelf"), join(parent, "code")];
  await mkdir(shelf);
  store = new Shelf();
});
afterEach(() => rm(parent, { recursive: true, force: true }));

/** A package of many files, known by its name to this process and to those it starts. */
async function stored(prefix: string): Promise<string> {
  const entries = Array.from({ length: FILES }, (_, at) => ({ name: `${prefix}/${at}`, content: `${prefix} ${at}` }));
  const sha256 = store.add(entries);
  await writeFile(join(shelf, sha256), store.packages.get(sha256) ?? "");
  return sha256;
}

/** Starts the process and kills it once something lies in a draft and the finished folder isn't there yet. */
async function killedWhileMaking(sha256s: readonly string[], isHalfDone: (drafts: readonly string[]) => boolean) {
  const child = spawn(process.execPath, [PROGRAM, folder, shelf, ...sha256s], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "exit");
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (said += text));
  await vi.waitUntil(() => child.exitCode !== null || isHalfDone(drafts()), { interval: 1, timeout: 20_000 });
  child.kill("SIGKILL");
  const [, signal] = await ended;
  return { signal, said };
}

const boot = () => join(folder, existsSync(folder) ? (readdirSync(folder)[0] ?? "") : "");
/** What lies in drafts now, by its path below the cache's folder. */
const drafts = (): string[] =>
  !existsSync(boot())
    ? []
    : readdirSync(boot())
        .filter((name) => name.startsWith(".draft-"))
        .flatMap((name) => {
          const content = join(boot(), name, "content");
          return existsSync(content) ? readdirSync(content).map((each) => join(content, each)) : [];
        });

const cache = () => new CodeCache({ folder, store, maxBytes: 2 ** 30 });

it("a package that was being unpacked is fetched anew", async () => {
  const sha256 = await stored("a");
  const isHalfDone = (found: readonly string[]) => found.some((path) => path.endsWith("/a"));
  expect(await killedWhileMaking([sha256], isHalfDone)).toEqual({ signal: "SIGKILL", said: "" });
  expect(existsSync(join(boot(), sha256))).toBe(false);
  expect(drafts().length).toBeGreaterThan(0);
  using code = await cache().use(sha256);
  expect((await readdir(join(code.folder, "a"))).length).toBe(FILES);
  expect([await readdir(boot()), store.fetches]).toEqual([[sha256], 1]);
});

it("a set that was being laid out is made anew, of the layers that were ready", async () => {
  const shas = [await stored("a"), await stored("b")];
  const isHalfDone = (found: readonly string[]) =>
    shas.every((sha256) => existsSync(join(boot(), sha256))) && found.some((path) => path.endsWith("/a"));
  expect(await killedWhileMaking(shas, isHalfDone)).toEqual({ signal: "SIGKILL", said: "" });
  using code = await cache().useLayers(shas);
  const counts = await Promise.all(["a", "b"].map(async (name) => (await readdir(join(code.folder, name))).length));
  expect([counts, store.fetches]).toEqual([[FILES, FILES], 0]);
  expect((await readdir(boot())).filter((name) => name.startsWith("."))).toEqual([]);
});
