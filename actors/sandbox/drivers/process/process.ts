/**
 * No sandboxes: plain child processes of the worker, for development on hosts that can't isolate. A function runs as the
 * worker's own user and may do all that user may. Groups limit and end it where the host has them; nothing else does.
 */
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Cgroups, noCgroups } from "../cgroups/cgroup.ts";
import { openCgroups } from "../cgroups/find.ts";
import { closeInheritable } from "../descriptors.ts";
import {
  type Enclosure,
  type EnclosureSpec,
  type Isolation,
  IsolationUnavailable,
  type SandboxDriver,
} from "../driver.ts";
import { noNetworksBy } from "../egress/network.ts";
import { newInstanceName } from "../instance.ts";
import { KeptEnclosure } from "../kept-enclosure.ts";
import { defaultHome } from "../premises.ts";
import { reapLeftovers, setWatchdog } from "../watchdog.ts";
import { beginLife } from "./life.ts";
import { onHost } from "./paths.ts";

const MiB = 1024 * 1024;

export interface ProcessOptions {
  readonly home?: string;
  /** Then nothing is run at all. */
  readonly production?: boolean;
}

interface Place {
  readonly instance: string;
  readonly cgroups: Cgroups;
  close(): Promise<void>;
}

export class ProcessDriver implements SandboxDriver {
  readonly name = "process";
  readonly #options: ProcessOptions;
  readonly #enclosures = new Set<Enclosure>();
  #place: Promise<Place> | undefined;
  #closed: Promise<void> | undefined;

  constructor(options: ProcessOptions = {}) {
    this.#options = options;
  }

  async probe(): Promise<Isolation> {
    const { limits, freezes } = (await this.#open()).cgroups;
    const by = (has: boolean) => (has ? "cgroup" : "none");
    return {
      driver: "process",
      namespaces: [],
      seccomp: false,
      limits: { memory: by(limits.memory), pids: by(limits.pids), cpu: by(limits.cpu) },
      uidPerSandbox: false,
      freezes,
      latePlacement: false,
      ownRoot: false,
      lacks: [
        "NO ISOLATION: functions are plain processes of the worker's user, who read its files, reach its network and share /tmp. Only for code you trust; choose another driver with MAYFLY_SANDBOX.",
        ...(limits.memory ? [] : ["Nothing limits a function, and what it detaches from itself outlives it."]),
      ],
    };
  }

  async create(spec: EnclosureSpec): Promise<Enclosure> {
    const { instance, cgroups } = await this.#open();
    if (spec.latePlaces?.length) throw new Error("nothing can be placed late in a plain process");
    if (spec.egress?.length) throw noNetworksBy(this.name);
    const { memoryMiB, pids, cpus } = spec;
    const cgroup = await cgroups.create({ memoryBytes: memoryMiB * MiB, pids, cpus });
    const command = spec.command.map((word) => onHost(word, spec.mounts));
    const enclosure = new KeptEnclosure(spec.id, {
      cgroup,
      places: undefined,
      begin: () => beginLife({ instance, command, cgroup }),
      rest() {},
      release: () => {
        this.#enclosures.delete(enclosure);
        return cgroup.remove();
      },
    });
    this.#enclosures.add(enclosure);
    return enclosure;
  }

  close(): Promise<void> {
    this.#closed ??= this.#end();
    return this.#closed;
  }

  #open(): Promise<Place> {
    if (this.#closed) return Promise.reject(new Error("the process driver is closed"));
    this.#place ??= openPlace(this.#options);
    return this.#place;
  }

  async #end(): Promise<void> {
    const place = await this.#place?.catch(() => undefined);
    const ends = await Promise.allSettled([...this.#enclosures].map((enclosure) => enclosure.destroy()));
    await place?.close();
    const failed = ends.find((end) => end.status === "rejected");
    if (failed) throw failed.reason;
  }
}

async function openPlace({ home = defaultHome(), production }: ProcessOptions): Promise<Place> {
  if (production) {
    throw new IsolationUnavailable(
      "the process driver isolates nothing, and this is production (MAYFLY_MODE or NODE_ENV says so)",
      "Set MAYFLY_SANDBOX to auto, bubblewrap or oci; `mayfly doctor` says what works here.",
    );
  }
  if (process.platform !== "linux")
    return { instance: `mayfly-${process.pid}`, cgroups: noCgroups, close: async () => {} };
  closeInheritable();
  const instance = await newInstanceName();
  const folder = join(home, instance);
  const own = (file: string) => readFile(`/proc/self/${file}`, "utf8");
  const cgroups = await openCgroups(instance, await own("mountinfo"), await own("cgroup"));
  const watchdog = setWatchdog({ name: instance, folder, cgroups: cgroups.folders });
  await mkdir(folder, { recursive: true });
  await reapLeftovers(home, cgroups.folders);
  return {
    instance,
    cgroups,
    async close() {
      await cgroups.close();
      await rm(folder, { recursive: true, force: true });
      await watchdog.dismiss();
    },
  };
}
