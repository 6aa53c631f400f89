/**
 * Sandboxes by bubblewrap: unprivileged namespaces, a system call filter, and groups where they may be made. No daemon,
 * no images; works for root and, where the host lets ordinary users have namespaces, for those too.
 *
 * One kernel is shared by all sandboxes: this is no boundary against flaws of the kernel itself.
 */
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Cgroup } from "../cgroups/cgroup.ts";
import type { Enclosure, EnclosureSpec, Isolation, Mount, SandboxDriver } from "../driver.ts";
import type { NetworkPlan } from "../egress/network.ts";
import { isReachableByAll } from "../staging.ts";
import { BubblewrapEnclosure } from "./enclosure.ts";
import { isolationOf, tryNetwork, tryOut } from "./isolation.ts";
import { launch } from "./launcher.ts";
import { descriptors } from "./life.ts";
import { type BubblewrapOptions, openPremises, type Premises } from "./premises.ts";
import { options, type Tmp } from "./profile.ts";

const MiB = 1024 * 1024;
/** Bubblewrap's own first process inside is counted with the sandbox's. */
const OWN_PIDS = 1;

type Closing = () => Promise<unknown>;

export class BubblewrapDriver implements SandboxDriver {
  readonly name = "bubblewrap";
  readonly #options: BubblewrapOptions;
  readonly #enclosures = new Set<BubblewrapEnclosure>();
  /** Those under way, each settled without error. */
  readonly #creations = new Set<Promise<void>>();
  #premises: Promise<Premises> | undefined;
  #isolation: Promise<Isolation> | undefined;
  #closed: Promise<void> | undefined;
  #made = 0;

  constructor(options: BubblewrapOptions = {}) {
    this.#options = options;
  }

  probe(): Promise<Isolation> {
    this.#isolation ??= this.#open().then(async (premises) => {
      const [found, networkless] = await Promise.all([tryOut(this, premises), tryNetwork(this)]);
      return isolationOf(premises, { ...found, networkless });
    });
    return this.#isolation;
  }

  async create(spec: EnclosureSpec): Promise<Enclosure> {
    const premises = await this.#open();
    const creation = this.#create(premises, spec);
    const settled = creation.then(
      () => {},
      () => {},
    );
    this.#creations.add(settled);
    settled.finally(() => this.#creations.delete(settled));
    return creation;
  }

  close(): Promise<void> {
    this.#closed ??= this.#end();
    return this.#closed;
  }

  async #create(premises: Premises, spec: EnclosureSpec): Promise<Enclosure> {
    // What to do at the end of the enclosure, or now if a later step fails: the newest first, and each in any case.
    const closings: Closing[] = [];
    const release = async () => {
      const failures: unknown[] = [];
      for (const closing of closings.splice(0).reverse()) await closing().catch((error) => failures.push(error));
      if (failures.length > 0) throw failures[0];
    };
    try {
      const uid = takeUid(premises, closings);
      const { egress = [] } = spec;
      const network = egress.length === 0 ? undefined : await premises.networks.plan(egress, uid);
      const cgroup = await makeCgroup(premises, spec, network, closings);
      const tmp = await makeTmp(premises, spec.tmpMiB, closings);
      const places = await makePlaces(premises, spec, closings);
      const shown = [...spec.mounts, ...(network?.mounts ?? [])];
      const mounts = [...(await makeReachable(premises, shown, closings)), ...(places?.mounts ?? [])];
      this.#made += 1;
      const argsFile = join(premises.folder, "args", String(this.#made));
      closings.push(() => rm(argsFile, { force: true }));
      await writeFile(argsFile, options(premises.host, tmp, mounts, descriptors).join("\0"));
      const { seccompFile } = premises;
      const life = { ...launch(premises, spec, uid), uid, argsFile, seccompFile, cgroup, network };
      const enclosure = new BubblewrapEnclosure(spec.id, life, places, async () => {
        this.#enclosures.delete(enclosure);
        await release();
      });
      this.#enclosures.add(enclosure);
      return enclosure;
    } catch (error) {
      await release();
      throw error;
    }
  }

  #open(): Promise<Premises> {
    if (this.#closed) return Promise.reject(new Error("the bubblewrap driver is closed"));
    this.#premises ??= openPremises(this.#options);
    return this.#premises;
  }

  async #end(): Promise<void> {
    const premises = await this.#premises?.catch(() => undefined);
    await Promise.all(this.#creations);
    const ends = await Promise.allSettled([...this.#enclosures].map((enclosure) => enclosure.destroy()));
    await premises?.close();
    const failed = ends.find((end) => end.status === "rejected");
    if (failed) throw failed.reason;
  }
}

function takeUid({ uids }: Premises, closings: Closing[]): number | undefined {
  if (!uids) return undefined;
  const uid = uids.take();
  closings.push(async () => uids.giveBack(uid));
  return uid;
}

async function makeCgroup(
  { cgroups }: Premises,
  spec: EnclosureSpec,
  network: NetworkPlan | undefined,
  closings: Closing[],
): Promise<Cgroup> {
  const { memoryMiB, pids } = network?.overhead ?? { memoryMiB: 0, pids: 0 };
  const cgroup = await cgroups.create({
    memoryBytes: (spec.memoryMiB + memoryMiB) * MiB,
    pids: spec.pids + OWN_PIDS + pids,
    cpus: spec.cpus,
  });
  closings.push(() => cgroup.remove());
  return cgroup;
}

async function makeTmp({ tmps }: Premises, sizeMiB: number, closings: Closing[]): Promise<Tmp> {
  if (!tmps) return { sizeMiB };
  const from = await tmps.take(sizeMiB);
  closings.push(() => tmps.drop(from));
  return { from };
}

async function makePlaces({ places }: Premises, spec: EnclosureSpec, closings: Closing[]) {
  if (!spec.latePlaces?.length) return undefined;
  if (!places) throw new Error("nothing can be placed late: the worker has no private mounts");
  const made = await places.make(spec.latePlaces);
  closings.push(() => made.close());
  return made;
}

/** The same views from paths a sandbox's user can walk to. */
async function makeReachable(premises: Premises, mounts: readonly Mount[], closings: Closing[]): Promise<Mount[]> {
  const { uids, staging } = premises;
  if (!uids) return [...mounts];
  const reachable: Mount[] = [];
  for (const { from, to } of mounts) {
    if (await isReachableByAll(from)) {
      reachable.push({ from, to });
      continue;
    }
    if (!staging) {
      throw new Error(
        `${from} is in a folder that other users can't walk through, and the worker has no private mounts`,
      );
    }
    reachable.push({ from: await staging.hold(from), to });
    closings.push(() => staging.release(from));
  }
  return reachable;
}
