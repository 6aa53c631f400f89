/** Groups of the first generation: one folder per controller; with v2's switches beside them on hybrid hosts. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type Cgroup, type CgroupLimits, type Cgroups, CPU_PERIOD_US, cpuQuotaUs } from "./cgroup.ts";
import { has, put, putNow, readKey, readNumber, removeGroup } from "./files.ts";

/** In the v2 hierarchy, since Linux 5.2. */
const FREEZER = "cgroup.freeze";

/** For each hierarchy found, the folder groups may be made in. */
export interface V1Places {
  readonly memory?: string;
  readonly pids?: string;
  readonly cpu?: string;
  /** Not used where there is `unified`, whose freezer is quicker and lets what it holds be killed. */
  readonly freezer?: string;
  /** The v2 hierarchy without controllers. */
  readonly unified?: string;
}

/** Makes the instance's folder in every hierarchy of `places`. Rejects when one may not be made. */
export async function openV1(places: V1Places, instance: string): Promise<Cgroups> {
  const folders = Object.fromEntries(Object.entries(places).map(([name, place]) => [name, join(place, instance)]));
  for (const folder of Object.values(folders)) await mkdir(folder, { recursive: true });
  const freezes = folders.unified ? await has(folders.unified, FREEZER) : "freezer" in folders;
  let made = 0;
  return {
    backEnd: places.unified ? "hybrid" : "v1",
    limits: { memory: "memory" in places, pids: "pids" in places, cpu: "cpu" in places },
    freezes,
    folders: Object.values(folders),
    async create(limits) {
      made += 1;
      // Numbered, not named: a sandbox sees its group's path in /proc/self/cgroup.
      const own = Object.fromEntries(Object.entries(folders).map(([name, folder]) => [name, join(folder, `${made}`)]));
      const group = new V1Cgroup(own);
      await group.make();
      if (limits) await group.limit(limits);
      return group;
    },
    async close() {
      await Promise.all(Object.values(folders).map(removeGroup));
    },
  };
}

class V1Cgroup implements Cgroup {
  readonly #folders: V1Places;

  constructor(folders: V1Places) {
    this.#folders = folders;
  }

  async make(): Promise<void> {
    // The instance's too: it is empty between two sandboxes, and whoever tidies up on this host may have removed it.
    await Promise.all(Object.values(this.#folders).map((folder) => mkdir(folder, { recursive: true })));
  }

  async limit({ memoryBytes, pids, cpus }: CgroupLimits): Promise<void> {
    await Promise.all([
      this.#limitMemory(memoryBytes),
      this.#folders.pids && putNow(this.#folders.pids, "pids.max", pids),
      this.setCpus(cpus),
    ]);
  }

  async #limitMemory(bytes: number): Promise<void> {
    const { memory } = this.#folders;
    if (!memory) return;
    await putNow(memory, "memory.limit_in_bytes", bytes);
    // Memory and swap together, after memory alone. Missing where the kernel doesn't count swap.
    await putNow(memory, "memory.memsw.limit_in_bytes", bytes).catch(() => putNow(memory, "memory.swappiness", 0));
  }

  async join(pid: number): Promise<void> {
    // One after the other: the first waits for the kernel, the rest then don't, and only one thread is held.
    for (const folder of Object.values(this.#folders)) await put(folder, "cgroup.procs", pid);
  }

  async kill(): Promise<boolean> {
    if (!this.#folders.unified) return false;
    return put(this.#folders.unified, "cgroup.kill", 1).then(
      () => true,
      () => false,
    );
  }

  async freeze(): Promise<void> {
    const { unified, freezer } = this.#folders;
    if (unified) await put(unified, FREEZER, 1);
    else if (freezer) await put(freezer, "freezer.state", "FROZEN");
  }

  async thaw(): Promise<void> {
    const { unified, freezer } = this.#folders;
    if (unified) await put(unified, FREEZER, 0);
    else if (freezer) await put(freezer, "freezer.state", "THAWED");
  }

  async setCpus(cpus: number): Promise<void> {
    const { cpu } = this.#folders;
    if (!cpu) return;
    await Promise.all([
      putNow(cpu, "cpu.shares", Math.max(2, Math.round(cpus * 1024))),
      putNow(cpu, "cpu.cfs_period_us", CPU_PERIOD_US),
    ]);
    await putNow(cpu, "cpu.cfs_quota_us", cpuQuotaUs(cpus));
  }

  async oomKills(): Promise<number> {
    return this.#folders.memory ? readKey(this.#folders.memory, "memory.oom_control", "oom_kill") : 0;
  }

  async memory(): Promise<{ currentBytes: number; peakBytes: number }> {
    const { memory } = this.#folders;
    if (!memory) return { currentBytes: 0, peakBytes: 0 };
    return {
      currentBytes: await readNumber(memory, "memory.usage_in_bytes"),
      peakBytes: await readNumber(memory, "memory.max_usage_in_bytes"),
    };
  }

  async sharedBytes(): Promise<number> {
    return this.#folders.memory ? readKey(this.#folders.memory, "memory.stat", "shmem") : 0;
  }

  async resetPeak(): Promise<void> {
    if (this.#folders.memory) await put(this.#folders.memory, "memory.max_usage_in_bytes", 0);
  }

  async remove(): Promise<void> {
    // What its freezer holds doesn't die.
    if (this.#folders.freezer) await this.thaw().catch(() => {});
    await Promise.all(Object.values(this.#folders).map(removeGroup));
  }
}
