/**
 * Groups of the second generation: one folder for all controllers.
 *
 * A folder that has processes can't hand controllers to its children. So where the worker's own group is all it may
 * use (a service with delegation, a container), the processes there first move into a child of their own.
 */
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Cgroup, type CgroupLimits, type Cgroups, CPU_PERIOD_US, cpuQuotaUs } from "./cgroup.ts";
import { has, processesIn, put, putNow, readKey, readNumber, removeGroup } from "./files.ts";

const wanted = ["memory", "pids", "cpu"] as const;
type Controller = (typeof wanted)[number];

/** Where processes that stand in the way move to: a child of the group they were in. */
export const WORKERS = "mayfly-workers";

/** How often processes are moved out of the way: while they start others, as a whole system does at first, once isn't enough. */
const ATTEMPTS = 50;

/** Makes the instance's folder below `place`, with every wanted controller that `place` can give. Rejects when it may not. */
export async function openV2(place: string, instance: string): Promise<Cgroups> {
  const given = (await readFile(join(place, "cgroup.controllers"), "utf8")).trim().split(/\s+/);
  const controllers = wanted.filter((each) => given.includes(each));
  for (let tried = 0; ; tried++) {
    const obstacle = await handDown(place, controllers).catch((error: NodeJS.ErrnoException) => error);
    if (!obstacle) break;
    if (obstacle.code !== "EBUSY" || tried === ATTEMPTS) throw obstacle;
    await makeWay(place);
  }
  const folder = join(place, instance);
  const makeOwn = async () => {
    await mkdir(folder, { recursive: true });
    await handDown(folder, controllers);
  };
  await makeOwn();
  let made = 0;
  return {
    backEnd: "v2",
    limits: {
      memory: controllers.includes("memory"),
      pids: controllers.includes("pids"),
      cpu: controllers.includes("cpu"),
    },
    freezes: await has(folder, "cgroup.freeze"),
    folders: [folder],
    async create(limits) {
      made += 1;
      const group = new V2Cgroup(join(folder, `${made}`), controllers);
      await group.make().catch(async (error: NodeJS.ErrnoException) => {
        if (error.code !== "ENOENT") throw error;
        // It is empty between two sandboxes, and whoever tidies up on this host may have removed it.
        await makeOwn();
        await group.make();
      });
      if (limits) await group.limit(limits);
      return group;
    },
    close: () => removeGroup(folder),
  };
}

async function handDown(folder: string, controllers: readonly Controller[]): Promise<void> {
  const missing = new Set(controllers);
  const have = await readFile(join(folder, "cgroup.subtree_control"), "utf8").catch(() => "");
  for (const each of have.trim().split(/\s+/)) missing.delete(each as Controller);
  if (missing.size > 0) await put(folder, "cgroup.subtree_control", [...missing].map((each) => `+${each}`).join(" "));
}

async function makeWay(place: string): Promise<void> {
  const aside = join(place, WORKERS);
  await mkdir(aside, { recursive: true });
  // One that has ended meanwhile is out of the way too; one that can't be moved, or was born after we looked, is met again.
  for (const pid of await processesIn(place)) await put(aside, "cgroup.procs", pid).catch(() => {});
}

class V2Cgroup implements Cgroup {
  readonly #folder: string;
  readonly #has: ReadonlySet<Controller>;

  constructor(folder: string, controllers: readonly Controller[]) {
    this.#folder = folder;
    this.#has = new Set(controllers);
  }

  make(): Promise<void> {
    return mkdir(this.#folder);
  }

  async limit({ memoryBytes, pids, cpus }: CgroupLimits): Promise<void> {
    await Promise.all([
      ...(this.#has.has("memory") ? this.#limitMemory(memoryBytes) : []),
      ...(this.#has.has("pids") ? [putNow(this.#folder, "pids.max", pids)] : []),
      this.setCpus(cpus),
    ]);
  }

  #limitMemory(bytes: number): Promise<void>[] {
    return [
      putNow(this.#folder, "memory.max", bytes),
      // All of it dies together, so that no half of a runtime lives on.
      putNow(this.#folder, "memory.oom.group", 1),
      // Missing where the kernel has no swap.
      putNow(this.#folder, "memory.swap.max", 0).catch(() => {}),
    ];
  }

  join(pid: number): Promise<void> {
    return put(this.#folder, "cgroup.procs", pid);
  }

  async kill(): Promise<boolean> {
    return put(this.#folder, "cgroup.kill", 1).then(
      () => true,
      () => false,
    );
  }

  freeze(): Promise<void> {
    return put(this.#folder, "cgroup.freeze", 1);
  }

  thaw(): Promise<void> {
    return put(this.#folder, "cgroup.freeze", 0);
  }

  async setCpus(cpus: number): Promise<void> {
    if (!this.#has.has("cpu")) return;
    await Promise.all([
      putNow(this.#folder, "cpu.weight", Math.min(10_000, Math.max(1, Math.round(cpus * 100)))),
      putNow(this.#folder, "cpu.max", `${cpuQuotaUs(cpus)} ${CPU_PERIOD_US}`),
    ]);
  }

  oomKills(): Promise<number> {
    return readKey(this.#folder, "memory.events", "oom_kill");
  }

  async memory(): Promise<{ currentBytes: number; peakBytes: number }> {
    const currentBytes = await readNumber(this.#folder, "memory.current");
    // memory.peak came with Linux 5.19.
    return { currentBytes, peakBytes: (await readNumber(this.#folder, "memory.peak")) || currentBytes };
  }

  sharedBytes(): Promise<number> {
    return readKey(this.#folder, "memory.stat", "shmem");
  }

  async resetPeak(): Promise<void> {
    // A reset here holds only for the descriptor that made it (Linux 6.12): the peak stays that of all lives.
  }

  remove(): Promise<void> {
    return removeGroup(this.#folder);
  }
}
