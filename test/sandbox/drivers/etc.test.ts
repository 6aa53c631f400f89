import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { makeEtc } from "../../../actors/sandbox/drivers/etc.ts";

let host: string;
let made: string;
beforeEach(async () => {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-etc-"));
  [host, made] = [join(folder, "host"), join(folder, "made")];
  await mkdir(join(host, "ssl"), { recursive: true });
});
afterEach(() => rm(join(host, ".."), { recursive: true }));

const cache = async () => readFile(join(made, "ld.so.cache"), "utf8");

describe("what of the host's /etc sandboxes see", () => {
  test("are folders that exist, and copies of files that everybody may read", async () => {
    for (const name of ["alternatives", "ssl/certs", "ssl/private"]) await mkdir(join(host, name));
    await writeFile(join(host, "ld.so.cache"), "one");
    await writeFile(join(host, "ssl/openssl.cnf"), "secret");
    await chmod(join(host, "ssl/openssl.cnf"), 0o640);
    await writeFile(join(host, "shadow"), "secret");
    const { fromHost } = await makeEtc(made, host);
    expect([...fromHost].sort()).toEqual([join(host, "alternatives"), join(host, "ssl/certs")]);
    expect(await cache()).toBe("one");
    expect((await stat(join(made, "ld.so.cache"))).mode & 0o777).toBe(0o644);
    expect(await readdir(join(made, "ssl"))).toEqual(["certs"]);
    expect(await readdir(made)).not.toContain("shadow");
  });

  test("is no link, wherever it leads", async () => {
    await writeFile(join(host, "elsewhere"), "secret");
    await symlink("elsewhere", join(host, "ld.so.cache"));
    await symlink(".", join(host, "alternatives"));
    expect((await makeEtc(made, host)).fromHost).toEqual([]);
    expect(await readdir(made)).not.toContain("ld.so.cache");
  });

  test("is what the host has by now", async () => {
    await writeFile(join(host, "ld.so.cache"), "one");
    const { renew } = await makeEtc(made, host);
    const { ino } = await stat(join(made, "ld.so.cache"));
    renew();
    expect((await stat(join(made, "ld.so.cache"))).ino).toBe(ino);
    await writeFile(join(host, "new"), "other");
    await rename(join(host, "new"), join(host, "ld.so.cache"));
    renew();
    expect(await cache()).toBe("other");
    await rm(join(host, "ld.so.cache"));
    renew();
    expect(await cache()).toBe("other");
  });
});
