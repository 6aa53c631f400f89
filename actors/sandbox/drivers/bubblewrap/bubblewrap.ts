/**
 * Sandboxes by bubblewrap: unprivileged namespaces, a system call filter, and groups where they may be made. No daemon,
 * no images; works for root and, where the host lets ordinary users have namespaces, for those too.
 *
 * One kernel is shared by all sandboxes: this is no boundary against flaws of the kernel itself.
 */
import { writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Networks } from "../egress/networks.ts";
import { openNetworks } from "../egress/open.ts";
import { IsolatingDriver, type Maker } from "../isolating-driver.ts";
import { isolationOf, tryNetwork, tryOut } from "../isolation.ts";
import { openPremises, type Premises, type PremisesOptions } from "../premises.ts";
import { namespacesRemedy } from "../remedies.ts";
import { findBubblewrap } from "./host.ts";
import { bubblewrap, launch, limited } from "./launcher.ts";
import { beginLife } from "./life.ts";
import { namespaces, options } from "./profile.ts";
import { descriptors, type Starter, Starters } from "./starters.ts";
import { layOut, type Tools } from "./tools.ts";

export interface BubblewrapOptions extends PremisesOptions {
  /** The `bwrap` to use; by default the first on PATH. */
  readonly bwrapPath?: string;
  /** How many processes are kept ready to become a sandbox's, where there are groups; 4 unless said otherwise. */
  readonly readyStarters?: number;
}

interface Place {
  readonly premises: Premises;
  readonly tools: Tools;
  readonly networks: Networks;
  readonly starters: Starters;
}

/** Bubblewrap's own first process inside is counted with the sandbox's, and where it had a starter the one outside. */
const OVERHEAD = { pids: 2, memoryMiB: 0, users: 1 };

export class BubblewrapDriver extends IsolatingDriver<Place, Starter> {
  constructor(options: BubblewrapOptions = {}) {
    super(maker(options));
  }
}

function maker(given: BubblewrapOptions): Maker<Place, Starter> {
  let made = 0;
  return {
    name: "bubblewrap",
    async open() {
      const bwrap = await findBubblewrap(given.bwrapPath);
      const premises = await openPremises(given);
      try {
        return equip(premises, await layOut(bwrap, premises), given);
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
    berth: ({ starters }) => starters.take(),
    planNetwork: ({ networks }, egress, gid) => networks.plan(egress, gid),
    async prepare({ premises, tools }, spec, { uids: [uid], tmp, mounts, cgroup, berth, network, onRelease }) {
      made += 1;
      const argsFile = berth?.argsFile ?? join(premises.folder, "own", String(made));
      onRelease(() => rm(argsFile, { force: true }));
      writeFileSync(argsFile, options(premises.host, tmp, mounts, descriptors).join("\0"));
      const { seccompFile } = tools;
      const life = {
        ...launch(premises.name, tools, spec, uid),
        uid,
        argsFile,
        seccompFile,
        cgroup,
        starter: berth,
        network,
      };
      return () => beginLife(life);
    },
  };
}

/** Its networks and starters end before the rest of the premises does. */
function equip(premises: Premises, tools: Tools, { egress, readyStarters = 4 }: BubblewrapOptions): Place {
  const { name, folder, uids, cgroups } = premises;
  const starters = new Starters({
    ...{ name, folder, uids, cgroups },
    seccompFile: tools.seccompFile,
    limits: limited(tools),
    bubblewrap: bubblewrap(name, tools),
    ready: cgroups.folders.length > 0 ? readyStarters : 0,
  });
  const withNetworks = openNetworks(premises, egress, tools.bwrap.path);
  const close = async () => {
    await starters.close();
    await withNetworks.premises.close();
  };
  return { premises: { ...premises, close }, networks: withNetworks.networks, tools, starters };
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
