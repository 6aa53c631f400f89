import { chmod, mkdir, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { HomeUnusable, homeAt, prepareHome, resolveHome } from "../../bin/embedded/home.ts";
import { temporaryFolder } from "./temporary-home.ts";

describe("where the home is", () => {
  test("MAYFLY_HOME names it", () => {
    expect(resolveHome({ MAYFLY_HOME: "/srv/mayfly", XDG_DATA_HOME: "/data" }).root).toBe("/srv/mayfly");
  });
  test("without it, it is in the XDG data folder", () => {
    expect(resolveHome({ XDG_DATA_HOME: "/data" }).root).toBe("/data/mayfly");
    expect(resolveHome({ HOME: "/home/ada" }).root).toBe("/home/ada/.local/share/mayfly");
    expect(resolveHome({}).root).toBe(join(homedir(), ".local/share/mayfly"));
  });
  test("a relative XDG_DATA_HOME is ignored, as its specification asks", () => {
    expect(resolveHome({ XDG_DATA_HOME: "data", HOME: "/home/ada" }).root).toBe("/home/ada/.local/share/mayfly");
  });
});

describe("making the home", () => {
  test("its folders are this user's alone, also when they were laxer before", async () => {
    const home = homeAt(join(await temporaryFolder(), "deep", "home"));
    await prepareHome(home);
    await chmod(home.nats, 0o755);
    await prepareHome(home);
    for (const folder of Object.values(home)) expect((await stat(folder)).mode & 0o777).toBe(0o700);
  });
  test("a root folder that was there before keeps its mode", async () => {
    const root = join(await temporaryFolder(), "home");
    await mkdir(root, { mode: 0o755 });
    await prepareHome(homeAt(root));
    expect((await stat(root)).mode & 0o777).toBe(0o755);
  });
  test("a folder that others may write in is refused with the command that mends it", async () => {
    const root = await temporaryFolder();
    await chmod(root, 0o777);
    const refusal = await prepareHome(homeAt(root)).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(HomeUnusable);
    expect((refusal as HomeUnusable).remedy).toBe(`chmod go-w ${root}`);
  });
  test("a file in its place is refused", async () => {
    const file = join(await temporaryFolder(), "file");
    await writeFile(file, "");
    await expect(prepareHome(homeAt(file))).rejects.toThrow(HomeUnusable);
  });
});
