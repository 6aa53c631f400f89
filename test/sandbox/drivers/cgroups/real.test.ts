import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import type { Cgroup, Cgroups } from "../../../../actors/sandbox/drivers/cgroups/cgroup.ts";
import { hierarchies, openCgroups } from "../../../../actors/sandbox/drivers/cgroups/find.ts";
import { openV2, WORKERS } from "../../../../actors/sandbox/drivers/cgroups/v2.ts";
import { describeUnless, lackingIf } from "../../../support/unless.ts";

const own = (file: string) => readFileSync(`/proc/self/${file}`, "utf8");
const open = (mountinfo = own("mountinfo")) => openCgroups(`mayfly-test-${process.pid}`, mountinfo, own("cgroup"));
/** What a host of the first generation alone has. */
const withoutV2 = own("mountinfo")
  .split("\n")
  .filter((line) => !line.includes(" - cgroup2 "))
  .join("\n");

const available =
  process.platform === "linux" &&
  (await open().then(async (cgroups) => {
    await cgroups.close();
    return cgroups.limits.memory && cgroups.limits.pids && cgroups.limits.cpu;
  }));

const noGroups = lackingIf(!available, "this process can't make control groups that limit");

describeUnless(noGroups)("groups on this host's kernel", () => {
  let cgroups: Cgroups;
  let cgroup: Cgroup | undefined;

  afterEach(async () => {
    await cgroup?.remove();
    await cgroups.close();
    expect(cgroups.folders.filter((folder) => existsSync(folder))).toEqual([]);
  });

  const make = async (memoryMiB: number, mountinfo?: string): Promise<Cgroup> => {
    cgroups = await open(mountinfo);
    cgroup = await cgroups.create({ memoryBytes: memoryMiB << 20, pids: 16, cpus: 0.5 });
    return cgroup;
  };
  /** A shell that does `script` once it was put into the group and told to. */
  const sleeper = async (script: string) => {
    const child = spawn("/bin/sh", ["-c", `read -r _; ${script}`], { stdio: ["pipe", "pipe", "ignore"] });
    const exit = once(child, "exit");
    await cgroup?.join(child.pid ?? 0);
    child.stdin.write("\n");
    return { child, exit };
  };

  test("are made also when somebody has tidied away the instance's empty folder", async () => {
    cgroups = await open();
    for (const folder of cgroups.folders) rmdirSync(folder);
    cgroup = await cgroups.create({ memoryBytes: 64 << 20, pids: 16, cpus: 0.5 });
    const { child, exit } = await sleeper("sleep 60");
    await expect.poll(async () => (await cgroup?.memory())?.currentBytes).toBeGreaterThan(0);
    child.kill("SIGKILL");
    await exit;
  });

  test("count a process's memory and give it back", async () => {
    const group = await make(64);
    const { child, exit } = await sleeper(
      "x=$(head -c 8000000 /dev/zero | tr '\\0' x); echo ready; read -r _; sleep 60",
    );
    await once(child.stdout, "data");
    const used = await group.memory();
    expect(used.peakBytes).toBeGreaterThan(8_000_000);
    expect(used.currentBytes).toBeGreaterThan(0);
    child.kill("SIGKILL");
    await exit;
    await group.resetPeak();
    expect((await group.memory()).peakBytes).toBeLessThanOrEqual(used.peakBytes);
  });

  test("count the processes killed for want of memory", async () => {
    const group = await make(8);
    expect(await group.oomKills()).toBe(0);
    const { exit } = await sleeper("exec tail /dev/zero");
    expect(await exit).toEqual([null, "SIGKILL"]);
    expect(await group.oomKills()).toBeGreaterThan(0);
  });

  test("kill all that is in them, at once or when removed", async () => {
    const group = await make(64);
    const { child, exit } = await sleeper("setsid sleep 60 & setsid sleep 60 & echo ready; sleep 60");
    await once(child.stdout, "data");
    if (!(await group.kill())) await group.remove();
    expect(await exit).toEqual([null, "SIGKILL"]);
    await group.remove();
    await group.remove();
    expect(cgroups.folders.filter((folder) => existsSync(join(folder, "1")))).toEqual([]);
  });

  test.each([
    { generation: "the host's own", mountinfo: own("mountinfo") },
    { generation: "the first", mountinfo: withoutV2 },
  ])("freeze what is in them and let it go on or be killed: $generation generation", async ({ mountinfo }) => {
    const group = await make(64, mountinfo);
    if (!cgroups.freezes) return;
    const { child, exit } = await sleeper("while read -r _; do echo heard; done");
    const state = () =>
      cgroups.folders
        .flatMap((folder) => [join(folder, "1/freezer.state"), join(folder, "1/cgroup.events")])
        .filter((path) => existsSync(path))
        .map((path) => readFileSync(path, "utf8"))
        .join();
    child.stdin.write("\n");
    await once(child.stdout, "data");
    await group.freeze();
    await expect.poll(state).toMatch(/FROZEN|frozen 1/);
    child.stdin.write("\n");
    const heard = once(child.stdout, "data");
    await group.thaw();
    await heard;
    await group.freeze();
    if (!(await group.kill())) child.kill("SIGKILL");
    await group.thaw();
    expect(await exit).toEqual([null, "SIGKILL"]);
  });

  test("refuse a process that is gone", async () => {
    const group = await make(64);
    await expect(group.join(2 ** 22 - 1)).rejects.toMatchObject({ code: "ESRCH" });
  });

  test("deal out processor time", async () => {
    const group = await make(64);
    const read = () =>
      cgroups.folders
        .flatMap((folder) => [join(folder, "1/cpu.cfs_quota_us"), join(folder, "1/cpu.max")])
        .filter((path) => existsSync(path))
        .map((path) => Number.parseInt(readFileSync(path, "utf8"), 10));
    expect(read(), "never less than one whole processor").toEqual([100_000]);
    await group.setCpus(1.5);
    expect(read()).toEqual([150_000]);
  });
});

/** The second generation's top, where this process may make groups with controllers there. */
const top = hierarchies(own("mountinfo"), own("cgroup")).find(({ version }) => version === 2)?.top ?? "";
const delegates = available && (await open()).backEnd === "v2" && !existsSync(join(top, "cgroup.type"));

describeUnless(
  noGroups ?? lackingIf(!delegates, "groups of the second generation with controllers can't be made here"),
)("a delegated group of the second generation", () => {
  test("hands its controllers on while processes are being started in it", async () => {
    const place = join(top, `mayfly-delegated-${process.pid}`);
    mkdirSync(place);
    const busy = spawn("/bin/sh", ["-c", "read -r _; echo begun; while :; do /bin/true & done"], {
      stdio: ["pipe", "pipe", "ignore"],
    });
    try {
      writeFileSync(join(place, "cgroup.procs"), String(busy.pid));
      const begun = once(busy.stdout, "data");
      busy.stdin.write("\n");
      await begun;
      const cgroups = await openV2(place, "instance");
      expect(cgroups.limits).toEqual({ memory: true, pids: true, cpu: true });
      expect(readFileSync(join(place, WORKERS, "cgroup.procs"), "utf8")).toContain(`${busy.pid}\n`);
      await cgroups.close();
    } finally {
      writeFileSync(join(place, "cgroup.kill"), "1");
      await expect.poll(() => readFileSync(join(place, "cgroup.events"), "utf8")).toContain("populated 0");
      for (const folder of [join(place, WORKERS), place]) if (existsSync(folder)) rmdirSync(folder);
    }
  });
});
