import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { chooseDriver } from "../../../actors/sandbox/drivers/choose.ts";
import { examineHost } from "../../../actors/sandbox/drivers/doctor.ts";
import { findProgram } from "../../../actors/sandbox/drivers/find-program.ts";
import { isLeftover, newInstanceName } from "../../../actors/sandbox/drivers/instance.ts";
import { claimUids, covers } from "../../../actors/sandbox/drivers/uids.ts";
import { describeUnless, lackingIf, testUnless } from "../../support/unless.ts";
import { enclosure, Hosted, isolating, noIsolation } from "./hosted.ts";

const noRoot = lackingIf(process.geteuid?.() !== 0, "only root has other users and mounts of the host's own");

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "mayfly-home-"));
});
afterEach(() => rm(home, { recursive: true }));

describe("choosing a driver", () => {
  test("refuses, saying what is missing and what to do, where bubblewrap isn't there", async () => {
    const refusal = chooseDriver("bubblewrap", { home, bwrapPath: join(home, "bwrap") });
    await expect(refusal).rejects.toMatchObject({
      name: "IsolationUnavailable",
      message: expect.stringContaining("was not found"),
      remedy: expect.stringContaining("apt install bubblewrap"),
    });
    expect(await readdir(home)).toEqual([]);
  });

  test("refuses a bubblewrap that is too old", async () => {
    const old = join(home, "bwrap");
    await writeFile(old, "#!/bin/sh\necho bubblewrap 0.4.1\n", { mode: 0o755 });
    await expect(chooseDriver("bubblewrap", { home, bwrapPath: old })).rejects.toThrow(/0\.4\.1 .* too old/);
  });

  testUnless(noIsolation)(
    "refuses one that can't make a sandbox, with its own complaint, and leaves nothing",
    async () => {
      const broken = join(home, "bwrap");
      const script = `#!/bin/sh
case $1 in --version) echo bubblewrap 0.9.0;; --help) echo --disable-userns --size;;
*) echo "bwrap: Creating new namespace failed: Operation not permitted" >&2; exit 1;; esac`;
      await writeFile(broken, script, { mode: 0o755 });
      const place = join(home, "place");
      await chmod(home, 0o755);
      await expect(chooseDriver("bubblewrap", { home: place, bwrapPath: broken })).rejects.toMatchObject({
        name: "IsolationUnavailable",
        message: expect.stringContaining("Creating new namespace failed"),
      });
      expect(await readdir(place)).toEqual([]);
    },
  );
});

describe("asking for a driver by name", () => {
  test("gives that one or none", async () => {
    const path = process.env.PATH;
    process.env.PATH = join(home, "nothing");
    try {
      for (const name of ["oci:crun", "oci:runc", "oci:runsc"] as const) {
        const found = await chooseDriver(name, { home }).catch((error: unknown) => error);
        if (found instanceof Error) {
          expect(found).toMatchObject({ name: "IsolationUnavailable", remedy: expect.stringMatching(/\S/) });
        } else {
          const { driver } = found as Awaited<ReturnType<typeof chooseDriver>>;
          await driver.close();
          expect(driver.name).toBe(name);
        }
      }
    } finally {
      process.env.PATH = path;
    }
  });

  test.for(["crun", "runc"] as const)(
    "takes an OCI runtime by its path for what it says it is: %s",
    async (name, { skip }) => {
      if (!isolating.includes(`oci:${name}`)) skip(`${name} can't be used here`);
      const path = `${home}/of-my-own` as const;
      await symlink((await findProgram(name)) ?? "", path);
      await chmod(home, 0o711);
      const { driver, isolation } = await chooseDriver(`oci:${path as `/${string}`}`, { home: join(home, "place") });
      await driver.close();
      expect(driver.name).toBe(`oci:${path}`);
      expect(isolation).toMatchObject({ driver: `oci:${path}`, ownRoot: true, seccomp: true });
    },
  );

  test("refuses a path that is no OCI runtime's", async () => {
    await chmod(home, 0o711);
    const place = join(home, "place");
    for (const path of ["/nothing/here", "/bin/true"] as const) {
      await expect(chooseDriver(`oci:${path}`, { home: place })).rejects.toMatchObject({
        name: "IsolationUnavailable",
      });
    }
  });

  test("runs plain processes when asked to, never by itself, and not in production", async () => {
    const { driver, isolation } = await chooseDriver("process", { home });
    await driver.close();
    expect(isolation).toMatchObject({ ownRoot: false, namespaces: [], seccomp: false, uidPerSandbox: false });
    expect(isolation.lacks[0]).toContain("NO ISOLATION");
    await expect(chooseDriver("process", { home, production: true })).rejects.toMatchObject({
      name: "IsolationUnavailable",
      remedy: expect.stringContaining("MAYFLY_SANDBOX"),
    });
    for (const request of ["auto", "oci"] as const) {
      const chosen = await chooseDriver(request, { home }).catch(() => undefined);
      await chosen?.driver.close();
      expect(chosen?.driver.name).not.toBe("process");
    }
    expect(await readdir(home)).toEqual([]);
  });
});

describeUnless(noIsolation)("a driver", () => {
  test("refuses a home that sandbox users can't walk to, and leaves nothing there", async ({ skip }) => {
    if (noRoot !== undefined) skip(noRoot);
    await chmod(home, 0o700);
    const place = join(home, "place");
    await expect(chooseDriver("auto", { home: place })).rejects.toMatchObject({
      name: "IsolationUnavailable",
      remedy: expect.stringContaining("chmod o+x"),
    });
    expect(await readdir(place)).toEqual([]);
  });

  test("ends what is left of its enclosures when it is closed, and makes no more", async () => {
    await chmod(home, 0o711);
    const { driver } = await chooseDriver("bubblewrap", { home });
    const spec = enclosure(["/bin/sleep", "100"], { mounts: [] });
    const booted = await (await driver.create(spec)).boot();
    const half = driver.create({ ...spec, id: "half-made" });
    await driver.close();
    await driver.close();
    expect(await booted.exited).toMatchObject({ signal: "SIGKILL" });
    await half;
    expect(await readdir(home)).toEqual([]);
    await expect(driver.create(spec)).rejects.toThrow(/closed/);
  });

  test("can be killed in the middle of beginning", async () => {
    await chmod(home, 0o711);
    const { driver } = await chooseDriver("bubblewrap", { home });
    try {
      const enclosures = await Promise.all(
        [1, 2, 3, 4].map(() => driver.create(enclosure(["/bin/sleep", "100"], { mounts: [] }))),
      );
      const beginnings = enclosures.map((each) => each.boot());
      await Promise.all(enclosures.map((each) => each.destroy()));
      for (const booted of await Promise.all(beginnings)) {
        expect(await booted.exited).toMatchObject({ code: null, signal: "SIGKILL", outOfMemory: false });
      }
    } finally {
      await driver.close();
    }
  });
});

describeUnless(noRoot ?? noIsolation).each(isolating)("%s", (driver) => {
  test("makes sandboxes also where its things lie on a mount with noexec, as /run does under systemd", async () => {
    const onNoexec = 'mount -t tmpfs -o nosuid,nodev,noexec,mode=711 tmp "$0" && exec "$@"';
    const enter = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", onNoexec, home];
    const worker = await Hosted.start({ title: "", driver, privateMounts: true, enter, home });
    try {
      const [life] = await worker.ask("run", enclosure(["/bin/sh", "-c", "exit 3"]), 1, "");
      expect(life?.exit).toMatchObject({ code: 3, started: true });
    } finally {
      await worker.end();
      await mkdir(home, { recursive: true });
    }
  });
});

describeUnless(noRoot ?? noIsolation).each(isolating)("%s", (driver) => {
  test("makes sandboxes where something is mounted below the host's programs, which nobody inside can write to", async () => {
    const onUsr = 'mount -t tmpfs -o mode=1777 tmp /usr/src && touch /usr/src/mounted && exec "$@"';
    const enter = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", onUsr, "sh"];
    const worker = await Hosted.start({ title: "", driver, privateMounts: true, enter, home });
    try {
      const look = "cd /usr/src; ls; touch new 2>/dev/null && echo written";
      const [life] = await worker.ask("run", enclosure(["/bin/sh", "-c", look]), 1, "");
      expect(life).toMatchObject({ stderr: "", exit: { code: 1 } });
      expect(life?.stdout).not.toContain("written");
      // crun shows what that hides instead, whatever it is asked for.
      if (driver !== "oci:crun") expect(life?.stdout).toBe("mounted\n");
    } finally {
      await worker.end();
      await mkdir(home, { recursive: true });
    }
  });
});

const noRunc = lackingIf(!isolating.includes("oci:runc"), "runc can't be used here");
describeUnless(noRoot ?? noIsolation ?? noRunc)("oci:runc without", () => {
  test.for(["unshare", "prlimit"])(
    "%s makes sandboxes all the same, and says what they lack and how to get it",
    async (program) => {
      const hidden = 'mount --bind /dev/null "$0" && exec "$@"';
      const path = (await findProgram(program)) ?? "";
      const enter = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", hidden, path];
      await chmod(home, 0o711);
      const worker = await Hosted.start({ title: "", driver: "oci:runc", privateMounts: false, enter, home });
      try {
        const { lacks } = await worker.isolation;
        expect(lacks).toContainEqual(
          expect.stringMatching(`inotify.* ${program} was not found. .*apt install util-linux`),
        );
        const [life] = await worker.ask("run", enclosure(["/bin/sh", "-c", "ulimit -n"]), 1, "");
        expect(life).toMatchObject({ stdout: "1024\n", stderr: "" });
      } finally {
        await worker.end();
        await mkdir(home, { recursive: true });
      }
    },
  );
});

describe("the doctor", () => {
  test("never throws, and each point that isn't well has a remedy", async () => {
    const checks = await examineHost({ home, bwrapPath: "/nowhere/bwrap" }, "bubblewrap");
    expect(checks.find(({ name }) => name === "bubblewrap")).toMatchObject({ ok: false });
    expect(checks.find(({ name }) => name === "sandbox")).toMatchObject({ ok: false });
    for (const { ok, remedy } of checks) expect(remedy !== "" || ok).toBe(true);
  });

  testUnless(noIsolation)("finds a host well where a sandbox runs", async () => {
    await chmod(home, 0o711);
    const checks = await examineHost({ home });
    for (const name of ["bubblewrap", "system call filter", "sandbox"]) {
      expect(checks.find((check) => check.name === name)).toMatchObject({ ok: true, remedy: "" });
    }
  });
});

describeUnless(lackingIf(process.platform !== "linux", "this is no Linux"))("an instance's name", () => {
  test("is another one each time", async () => {
    const names = await Promise.all([newInstanceName(), newInstanceName()]);
    expect(new Set([...names, await newInstanceName()]).size).toBe(3);
  });

  test("is a leftover's when its process is gone or was another one, never a stranger's", async () => {
    const name = await newInstanceName();
    expect(await isLeftover(name)).toBe(false);
    expect(await isLeftover("somebody-elses")).toBe(false);
    const [, namespace, pid, tick] = name.split("-");
    expect(await isLeftover(`mayfly-${namespace}-${pid}-${Number(tick) - 1}-1`)).toBe(true);
    expect(await isLeftover(`mayfly-${Number(namespace) - 1}-${pid}-${Number(tick) - 1}-1`)).toBe(false);
    const child = spawn("true");
    await once(child, "exit");
    expect(await isLeftover(`mayfly-${namespace}-${child.pid}-1-1`)).toBe(true);
  });
});

describe("sandbox users", () => {
  test("must all be in one line of the user namespace's map", () => {
    const container = "         0     100000      65536\n";
    expect(covers(container, { first: 40_000, count: 20_000 })).toBe(true);
    expect(covers(container, { first: 60_000, count: 10_000 })).toBe(false);
    expect(covers("         0      20001          1\n", { first: 1, count: 1 })).toBe(false);
    expect(covers("         0          0 4294967295\n", { first: 1_879_048_192, count: 200_000 })).toBe(true);
  });

  test("are never the same for two workers of a host, nor for two sandboxes of a worker", async ({ skip }) => {
    const range = { first: 1_900_000_000, count: 1002 };
    const pools = [await claimUids(range), await claimUids(range), await claimUids(range)];
    try {
      const [first, second, third] = pools;
      if (!first || !second) return skip("this process can't become other users");
      expect(third).toBeUndefined();
      expect([first.range, second.range]).toEqual([
        { first: 1_900_000_000, count: 1000 },
        { first: 1_900_001_000, count: 2 },
      ]);
      const [one, two] = [second.take(), second.take()];
      expect(one).not.toBe(two);
      expect(() => second.take()).toThrow(/taken/);
      second.giveBack(one);
      expect(second.take()).toBe(one);
    } finally {
      await Promise.all(pools.map((pool) => pool?.close()));
    }
  });
});
