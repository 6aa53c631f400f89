import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { hierarchies, openCgroups, v2Candidates } from "../../../../actors/sandbox/drivers/cgroups/find.ts";
import { programGroupsIn } from "../../../../actors/sandbox/drivers/cgroups/program-groups.ts";
import { unitAt } from "../../../../actors/sandbox/drivers/cgroups/unit.ts";

const v1 = (top: string, controllers: string, root = "/") =>
  `30 29 0:25 ${root} ${top} rw,relatime shared:9 - cgroup cgroup rw,${controllers}`;
const v2 = (top: string, root = "/") => `31 29 0:26 ${root} ${top} rw,nosuid - cgroup2 cgroup2 rw,nsdelegate`;

describe("where this process stands in each hierarchy", () => {
  test("is found on a host of the first generation, of the second, and of both", () => {
    const mountinfo = [v1("/cg/memory", "memory"), v1("/cg/cpu,cpuacct", "cpu,cpuacct"), v2("/cg/unified")].join("\n");
    expect(hierarchies(mountinfo, "4:memory:/a/b\n2:cpu,cpuacct:/\n0::/c\n")).toEqual([
      { version: 1, controllers: ["memory"], top: "/cg/memory", own: "/cg/memory/a/b" },
      { version: 1, controllers: ["cpu", "cpuacct"], top: "/cg/cpu,cpuacct", own: "/cg/cpu,cpuacct/" },
      { version: 2, controllers: [], top: "/cg/unified", own: "/cg/unified/c" },
    ]);
  });

  test("is counted from the mount's own root in a container", () => {
    expect(hierarchies(v1("/cg/pids", "pids", "/docker/abc"), "8:pids:/docker/abc/sub\n")[0]?.own).toBe("/cg/pids/sub");
    expect(hierarchies(v1("/cg/pids", "pids", "/docker/abc"), "8:pids:/elsewhere\n")[0]?.own).toBe("/cg/pids/");
  });

  test("is nowhere where nothing is mounted", () => {
    expect(hierarchies("22 1 0:20 / /proc rw - proc proc rw", "0::/\n")).toEqual([]);
  });
});

describe("the systemd unit a process stands in", () => {
  test("is the innermost one around its group, the host's or a user's", () => {
    const unit = (own: string) => unitAt("/cg", `/cg${own}`);
    const faas = { name: "faas.service", group: "/cg/system.slice/faas.service", ofUser: false };
    expect(unit("/system.slice/faas.service")).toEqual(faas);
    expect(unit("/system.slice/faas.service/mayfly-workers/inner")).toEqual(faas);
    const users = "/user.slice/user-7.slice/user@7.service";
    expect(unit(`${users}/app.slice/run-1.scope`)).toEqual({
      name: "run-1.scope",
      group: `/cg${users}/app.slice/run-1.scope`,
      ofUser: true,
    });
    expect(unit(users)).toMatchObject({ name: "user@7.service", ofUser: false });
    expect(unit("/user.slice/user-7.slice")).toBeUndefined();
    expect(unit("/")).toBeUndefined();
  });
});

describe("groups of the second generation may go", () => {
  const top = "/cg";
  const group = "/cg/system.slice/faas.service";
  const unit = { name: "faas.service", group, ofUser: false };

  test("into the unit that was given its group, the host's top being the way out", () => {
    const standing = { top, own: group, isTrueTop: true, unit, isDelegated: true };
    expect(v2Candidates(standing)).toEqual([group, top]);
    expect(v2Candidates({ ...standing, own: `${group}/mayfly-workers` })).toEqual([group, top]);
    expect(v2Candidates({ ...standing, own: `${group}/main` })).toEqual([group, `${group}/main`, top]);
  });

  test("to the host's top, where the unit was not", () => {
    const session = "/cg/user.slice/session-1.scope";
    const shell = { name: "session-1.scope", group: session, ofUser: false };
    const standing = { top, own: session, isTrueTop: true, unit: shell, isDelegated: false };
    expect(v2Candidates(standing)).toEqual([top, session]);
    expect(v2Candidates({ ...standing, own: top, unit: undefined })).toEqual([top]);
  });

  test("into our own or our unit's, where the top is another's", () => {
    const standing = { top, own: `${group}/main`, isTrueTop: false, unit, isDelegated: false };
    expect(v2Candidates(standing)).toEqual([group, `${group}/main`]);
    expect(v2Candidates({ ...standing, own: "/cg/a/mayfly-workers", unit: undefined })).toEqual(["/cg/a"]);
  });
});

describe("groups that a program makes by itself", () => {
  const v1Tops = [{ version: 1, top: "/cg/memory" } as const, { version: 1, top: "/cg/pids" } as const];

  test("lie in the instance's own group of the second generation", () => {
    const made = programGroupsIn([{ version: 2, top: "/cg" }], "mayfly-x", {
      backEnd: "v2",
      folders: ["/cg/system.slice/faas.service/mayfly-x"],
    });
    expect(made).toMatchObject({
      path: "/system.slice/faas.service/mayfly-x",
      folders: ["/cg/system.slice/faas.service/mayfly-x"],
    });
  });

  test("lie at the tops of the first", () => {
    const made = programGroupsIn(v1Tops, "mayfly-x", { backEnd: "v1", folders: ["/cg/memory/a/mayfly-x"] });
    expect(made).toMatchObject({ path: "/mayfly-x", folders: ["/cg/memory/mayfly-x", "/cg/pids/mayfly-x"] });
  });
});

describe("groups of the second generation, on a tree that looks like theirs", () => {
  let top: string;

  beforeEach(async () => {
    top = await mkdtemp(join(tmpdir(), "mayfly-cgroup-"));
  });
  afterEach(() => rm(top, { recursive: true }));

  const make = async (path: string, controllers: string, files: Record<string, string> = {}) => {
    await mkdir(path, { recursive: true });
    const all = { "cgroup.controllers": controllers, "cgroup.subtree_control": "", "cgroup.procs": "", ...files };
    for (const [name, text] of Object.entries(all)) await writeFile(join(path, name), text);
  };
  const read = (...path: string[]) => readFile(join(top, ...path), "utf8");

  test("are made at the host's true top, with every limit", async () => {
    await make(top, "cpuset cpu io memory pids\n", { "cgroup.subtree_control": "memory\n" });
    await make(join(top, "user.slice"), "memory pids\n");
    const cgroups = await openCgroups("mayfly-x", v2(top), "0::/user.slice\n");
    expect(cgroups).toMatchObject({
      backEnd: "v2",
      limits: { memory: true, pids: true, cpu: true },
      folders: [join(top, "mayfly-x")],
    });
    expect(await read("cgroup.subtree_control")).toBe("+pids +cpu");
    expect(await read("mayfly-x", "cgroup.subtree_control")).toBe("+memory +pids +cpu");
    const cgroup = await cgroups.create({ memoryBytes: 128 << 20, pids: 33, cpus: 0.25 });
    expect(await read("mayfly-x", "1", "memory.max")).toBe(String(128 << 20));
    expect(await read("mayfly-x", "1", "memory.swap.max")).toBe("0");
    expect(await read("mayfly-x", "1", "memory.oom.group")).toBe("1");
    expect(await read("mayfly-x", "1", "pids.max")).toBe("33");
    expect(await read("mayfly-x", "1", "cpu.max")).toBe("100000 100000");
    await cgroup.setCpus(2);
    expect(await read("mayfly-x", "1", "cpu.max")).toBe("200000 100000");
    await cgroup.join(4242);
    expect(await read("mayfly-x", "1", "cgroup.procs")).toBe("4242");
    await cgroup.freeze();
    expect(await read("mayfly-x", "1", "cgroup.freeze")).toBe("1");
    await cgroup.thaw();
    expect(await read("mayfly-x", "1", "cgroup.freeze")).toBe("0");
    await cgroup.kill();
    expect(await read("mayfly-x", "1", "cgroup.kill")).toBe("1");
  });

  test("tell memory, its peak and killings", async () => {
    await make(top, "memory\n");
    const cgroups = await openCgroups("mayfly-x", v2(top), "0::/\n");
    const cgroup = await cgroups.create({ memoryBytes: 1 << 20, pids: 1, cpus: 1 });
    expect(await cgroup.oomKills()).toBe(0);
    await writeFile(join(top, "mayfly-x/1/memory.events"), "low 0\nhigh 0\nmax 7\noom 2\noom_kill 3\n");
    await writeFile(join(top, "mayfly-x/1/memory.current"), "4096\n");
    expect(await cgroup.oomKills()).toBe(3);
    expect(await cgroup.memory()).toEqual({ currentBytes: 4096, peakBytes: 4096 });
    await writeFile(join(top, "mayfly-x/1/memory.peak"), "8192\n");
    expect(await cgroup.memory()).toEqual({ currentBytes: 4096, peakBytes: 8192 });
  });

  test("are made in the worker's own, delegated group where the top is not the host's", async () => {
    await make(top, "memory pids\n", { "cgroup.type": "domain\n" });
    await make(join(top, "app.scope"), "memory pids\n");
    const cgroups = await openCgroups("mayfly-x", v2(top), "0::/app.scope\n");
    expect(cgroups.folders).toEqual([join(top, "app.scope", "mayfly-x")]);
    expect(cgroups.limits).toEqual({ memory: true, pids: true, cpu: false });
  });

  test("are made beside the workers' group when a worker before has moved there", async () => {
    await make(top, "memory\n", { "cgroup.type": "domain\n" });
    await make(join(top, "app.scope"), "memory\n");
    await make(join(top, "app.scope", "mayfly-workers"), "memory\n");
    const cgroups = await openCgroups("mayfly-x", v2(top), "0::/app.scope/mayfly-workers\n");
    expect(cgroups.folders).toEqual([join(top, "app.scope", "mayfly-x")]);
  });

  test("are not made, and nothing is limited, where no controller is given", async () => {
    await make(top, "hugetlb\n");
    const cgroups = await openCgroups("mayfly-x", v2(top), "0::/\n").catch((error) => error);
    expect(cgroups).toMatchObject({ backEnd: "none", limits: { memory: false, pids: false, cpu: false } });
  });
});
