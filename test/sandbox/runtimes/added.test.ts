/** Runtimes that somebody adds: what makes a folder one, and that nothing else gets into Mayfly's home. */
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { addPython, addRuntime, removeRuntime } from "../../../actors/sandbox/runtimes/added.ts";
import {
  hostArchitecture,
  knownRuntimes,
  listRuntimes,
  resolveRuntime,
} from "../../../actors/sandbox/runtimes/catalogue.ts";

const other = hostArchitecture === "x86_64" ? "arm64" : "x86_64";

let parent: string;
let home: string;
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), "mayfly-runtimes-"));
  home = join(parent, "home");
});
afterEach(() => rm(parent, { recursive: true, force: true }));

let made = 0;
/** A runtime's folder; `undefined` leaves a file out. */
async function folder(manifest: unknown, bootstrap: string | undefined = "#!/bin/sh\n", mode = 0o755): Promise<string> {
  made += 1;
  const place = join(parent, `runtime-${made}`);
  await mkdir(place);
  const text = typeof manifest === "string" ? manifest : JSON.stringify(manifest);
  if (manifest !== undefined) await writeFile(join(place, "runtime.json"), text);
  if (bootstrap !== undefined) await writeFile(join(place, "bootstrap"), bootstrap, { mode });
  return place;
}

describe("a folder with a manifest and a bootstrap", () => {
  it("becomes a runtime: listed, resolved with what it needs, and removed again", async () => {
    const place = await folder({ name: "words1.0", version: "1.0.3", lang: "lang", architectures: [hostArchitecture] });
    await mkdir(join(place, "lang"));
    await writeFile(join(place, "lib.sh"), "x");
    await symlink("lib.sh", join(place, "link.sh"));
    expect((await addRuntime(place, home)).runtime).toBe("words1.0");
    await rm(place, { recursive: true });
    const installed = join(home, "runtimes", "words1.0");
    expect(await readFile(join(installed, "link.sh"), "utf8")).toBe("x");
    const resolved = await resolveRuntime("words1.0", { home });
    expect(resolved).toMatchObject({ version: "1.0.3", overheadMiB: 48 });
    expect(resolved.mounts).toContainEqual({ from: installed, to: "/var/runtime" });
    expect(resolved.mounts).toContainEqual({ from: join(installed, "lang"), to: "/var/lang" });
    expect(resolved.command.at(-1)).toBe("/var/runtime/bootstrap");
    const list = await listRuntimes({ home });
    expect(list.map(({ runtime }) => runtime)).toEqual([...knownRuntimes, "words1.0"]);
    expect(list.at(-1)).toEqual({ runtime: "words1.0", version: "1.0.3", remedy: null });
    await removeRuntime("words1.0", home);
    expect(await readdir(join(home, "runtimes"))).toEqual([]);
    await expect(resolveRuntime("words1.0", { home })).rejects.toMatchObject({ name: "RuntimeNotInstalled" });
  });

  it.each([
    ["no manifest", undefined, /runtime\.json can't be read/],
    ["a manifest that is no JSON", "{", /it is no JSON/],
    ["a manifest that is no object", "[]", /must hold an object/],
    ["a misspelt field", { name: "a1", version: "1", langs: "x" }, /no field "langs"/],
    ["no name", { version: "1" }, /"name" must be/],
    ["a name that is a path", { name: "../up", version: "1" }, /"name" must be/],
    ["a name of Mayfly's", { name: "nodejs24.x", version: "1" }, /one of Mayfly's own/],
    ["a name of Mayfly's to come", { name: "nodejs30.x", version: "1" }, /one of Mayfly's own/],
    ["no version", { name: "a1" }, /"version" must be/],
    ["an architecture nobody knows", { name: "a1", version: "1", architectures: ["z80"] }, /must be a list of x86_64/],
    ["a language that isn't there", { name: "a1", version: "1", lang: "/nowhere" }, /\/nowhere.* is no folder/],
  ])("with %s is refused by name, and leaves nothing", async (_, manifest, why) => {
    const place = await folder(manifest);
    const refused = addRuntime(place, home);
    await expect(refused).rejects.toMatchObject({ name: "RuntimePackageUnfit", message: expect.stringMatching(why) });
    expect(await readdir(join(home, "runtimes")).catch(() => [])).toEqual([]);
  });

  it("needs a bootstrap that may be executed", async () => {
    const good = { name: "a1", version: "1" };
    const none = await folder(good);
    await rm(join(none, "bootstrap"));
    await expect(addRuntime(none, home)).rejects.toThrow(/bootstrap is missing/);
    const plain = await folder(good, "#!/bin/sh\n", 0o644);
    await expect(addRuntime(plain, home)).rejects.toThrow(/can't be executed/);
  });

  it("for other processors only can't be added here", async () => {
    const place = await folder({ name: "a1", version: "1", architectures: [other] });
    await expect(addRuntime(place, home)).rejects.toMatchObject({
      name: "RuntimeNotInstalled",
      message: expect.stringContaining(`It is not for ${hostArchitecture}`),
    });
    expect(await readdir(join(home, "runtimes"))).toEqual([]);
  });

  it("is not put in another's place, and what comes with Mayfly is not removed", async () => {
    const place = await folder({ name: "a1", version: "1" });
    await addRuntime(place, home);
    await expect(addRuntime(place, home)).rejects.toMatchObject({ name: "RuntimeInUse" });
    await expect(removeRuntime("nodejs24.x", home)).rejects.toMatchObject({ name: "RuntimeInUse" });
    await expect(removeRuntime("../runtimes", home)).rejects.toMatchObject({ name: "RuntimeInUse" });
  });

  it("that was broken later is told as such, and hides nobody else", async () => {
    await addRuntime(await folder({ name: "a1", version: "1" }), home);
    await chmod(join(home, "runtimes", "a1", "bootstrap"), 0o644);
    const list = await listRuntimes({ home });
    expect(list.at(-1)).toMatchObject({
      runtime: "a1",
      version: null,
      remedy: expect.stringMatching(/can't be executed/),
    });
    expect(list.find(({ runtime }) => runtime === "nodejs24.x")?.version).not.toBeNull();
  });
});

describe("a Python of a folder", () => {
  it("is used where it lies, and stays there when it is removed here", async () => {
    const prefix = join(parent, "python");
    const python = join(prefix, "bin", "python3.13");
    await mkdir(dirname(python), { recursive: true });
    // It answers as a Python does that is asked where it is and which.
    await writeFile(python, `#!/bin/sh\nprintf '%s\\n' "${python}" "${prefix}" 3.13.99\n`, { mode: 0o755 });
    const { resolved } = await addPython("python3.13", prefix, home);
    expect(resolved.version).toBe("3.13.99");
    expect(resolved.mounts).toContainEqual({ from: prefix, to: "/var/lang" });
    expect(resolved.command).toContain("/var/lang/bin/python3.13");
    await expect(addPython("python3.13", prefix, home)).rejects.toMatchObject({ name: "RuntimeInUse" });
    await removeRuntime("python3.13", home);
    expect(await readdir(join(prefix, "bin"))).toEqual(["python3.13"]);
    expect(await readdir(join(home, "runtimes"))).toEqual([]);
  });

  it("must be there, and a Python", async () => {
    await expect(addPython("python3.13", parent, home)).rejects.toThrow(/bin\/python3\.13 is missing/);
    await expect(addPython("nodejs22.x", parent, home)).rejects.toThrow(/only those have a prefix/);
  });
});
