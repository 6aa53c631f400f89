/**
 * Limits by control groups: what the drivers ask of them, whichever generation the host has.
 *
 *   v1      one hierarchy per controller (memory, pids, cpu)
 *   v2      one hierarchy for all
 *   hybrid  v1's limits, and v2's own switches to kill and to freeze from a second hierarchy that has no controllers
 *   none    nothing may be made here: nothing is limited, and every method says so by doing nothing
 *
 * Processes are moved asynchronously and for a reason: that waits 8 to 12 ms for the kernel on an idle machine. Limits are
 * set at once.
 */

export interface CgroupLimits {
  readonly memoryBytes: number;
  readonly pids: number;
  /** Processors, fractions allowed. */
  readonly cpus: number;
}

/** One sandbox's group, over all its lives. */
export interface Cgroup {
  /** Sets its limits; those it was made with, or none, hold until this resolves. */
  limit(limits: CgroupLimits): Promise<void>;
  /** Puts a process in; its later children are born in it. Rejects when the process is gone. */
  join(pid: number): Promise<void>;
  /** Tells the kernel to kill everything in it; false when this back end can't, and nothing was done. */
  kill(): Promise<boolean>;
  /** Stops everything in it where it stands, until `thaw`. Does nothing where `Cgroups.freezes` is false. */
  freeze(): Promise<void>;
  /** In v1, what was killed while it was frozen needs it to end. */
  thaw(): Promise<void>;
  setCpus(cpus: number): Promise<void>;
  /** How many of its processes the kernel has ever killed for want of memory. */
  oomKills(): Promise<number>;
  memory(): Promise<{ currentBytes: number; peakBytes: number }>;
  /** Of its memory, what files in memory and shared memory take: with nothing running in it, what outlives processes. */
  sharedBytes(): Promise<number>;
  /** Begins a new peak, where the kernel lets one. */
  resetPeak(): Promise<void>;
  /** Removes the group, killing what is still in it. */
  remove(): Promise<void>;
}

/** The groups of one driver instance. */
export interface Cgroups {
  readonly backEnd: "v1" | "v2" | "hybrid" | "none";
  readonly limits: { readonly memory: boolean; readonly pids: boolean; readonly cpu: boolean };
  readonly freezes: boolean;
  /** This instance's folder in each hierarchy; the sandboxes' are below. */
  readonly folders: readonly string[];
  /** A group with these limits; without any, where they are set once it is known whose it is. */
  create(limits?: CgroupLimits): Promise<Cgroup>;
  /** Removes the instance's own folders; the sandboxes' must be gone. */
  close(): Promise<void>;
}

/** The period processor time is dealt out in, in microseconds; the kernel's own default. */
export const CPU_PERIOD_US = 100_000;

/**
 * The hard ceiling: never less than one whole processor. Less is dealt out by weight, which counts only while processors
 * are scarce; a quota of a fourteenth would stop a 128 MB function for 93 ms of every 100, idle host or not.
 */
export const cpuQuotaUs = (cpus: number): number => Math.round(Math.max(1, cpus) * CPU_PERIOD_US);

const nothing: Cgroup = {
  limit: async () => {},
  join: async () => {},
  kill: async () => false,
  freeze: async () => {},
  thaw: async () => {},
  setCpus: async () => {},
  oomKills: async () => 0,
  memory: async () => ({ currentBytes: 0, peakBytes: 0 }),
  sharedBytes: async () => 0,
  resetPeak: async () => {},
  remove: async () => {},
};

/** Where no group may be made. */
export const noCgroups: Cgroups = {
  backEnd: "none",
  limits: { memory: false, pids: false, cpu: false },
  freezes: false,
  folders: [],
  create: async () => nothing,
  close: async () => {},
};
