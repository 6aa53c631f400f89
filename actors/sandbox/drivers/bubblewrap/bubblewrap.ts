/**
 * Sandboxes by bubblewrap: unprivileged namespaces, a system call filter, and groups where they may be made. No daemon,
 * no images; works for root and, where the host lets ordinary users have namespaces, for those too.
 *
 * One kernel is shared by all sandboxes: this is no boundary against flaws of the kernel itself.
 */
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Networks } from "../egress/networks.ts";
import { openNetworks } from "../egress/open.ts";
import { IsolatingDriver, type Maker } from "../isolating-driver.ts";
import { isolationOf, tryNetwork, tryOut } from "../isolation.ts";
import { openPremises, type Premises, type PremisesOptions } from "../premises.ts";
import { namespacesRemedy } from "../remedies.ts";
import { findBubblewrap } from "./host.ts";
import { launch } from "./launcher.ts";
import { beginLife, descriptors } from "./life.ts";
import { namespaces, options } from "./profile.ts";
import { layOut, type Tools } from "./tools.ts";

export interface BubblewrapOptions extends PremisesOptions {
  /** The `bwrap` to use; by default the first on PATH. */
  readonly bwrapPath?: string;
}

interface Place {
  readonly premises: Premises;
  readonly tools: Tools;
  readonly networks: Networks;
}

/** Bubblewrap's own first process inside is counted with the sandbox's. */
const OVERHEAD = { pids: 1, memoryMiB: 0, users: 1 };

export class BubblewrapDriver extends IsolatingDriver<Place> {
  constructor(options: BubblewrapOptions = {}) {
    super(maker(options));
  }
}

function maker(given: BubblewrapOptions): Maker<Place> {
  let made = 0;
  return {
    name: "bubblewrap",
    async open() {
      const bwrap = await findBubblewrap(given.bwrapPath);
      const premises = await openPremises(given);
      try {
        const tools = await layOut(bwrap, premises);
        return { tools, ...openNetworks(premises, given.egress, tools.bwrap.path) };
      } catch (error) {
        await premises.close();
        throw error;
      }
    },
    async examine({ premises, tools, networks }, driver) {
      const [{ latePlacement }, networkless] = await Promise.all([
        tryOut(driver, premises, namespacesRemedy),
        tryNetwork(driver),
      ]);
      const pidsOtherwise = tools.prlimit ? "rlimit" : "none";
      return isolationOf(premises, {
        driver: "bubblewrap",
        namespaces,
        latePlacement,
        pidsOtherwise,
        ...(networkless === undefined ? { egress: networks.way } : {}),
        lacks: [...lacksOf(tools), ...(networkless === undefined ? [] : [networkless.message])],
      });
    },
    overhead: () => OVERHEAD,
    planNetwork: ({ networks }, egress, gid) => networks.plan(egress, gid),
    async prepare({ premises, tools }, spec, { uids: [uid], tmp, mounts, cgroup, network, onRelease }) {
      made += 1;
      const argsFile = join(premises.folder, "own", String(made));
      onRelease(() => rm(argsFile, { force: true }));
      await writeFile(argsFile, options(premises.host, tmp, mounts, descriptors).join("\0"));
      const { seccompFile } = tools;
      const life = { ...launch(premises.name, tools, spec, uid), uid, argsFile, seccompFile, cgroup, network };
      return () => beginLife(life);
    },
  };
}

function lacksOf({ prlimit, bwrap }: Tools): string[] {
  return [
    ...(bwrap.isTheirs
      ? [
          "Functions can keep this worker from starting sandboxes, because bubblewrap belongs to the user they run as. Install it for all users, or start the worker in a mount namespace of its own.",
        ]
      : []),
    ...(prlimit
      ? []
      : ["Processes, open files and core dumps are not limited: prlimit was not found. Install util-linux."]),
  ];
}
