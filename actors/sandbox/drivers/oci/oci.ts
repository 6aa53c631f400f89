/**
 * Sandboxes by an OCI runtime: the same profile as bubblewrap's, written as a standard bundle that crun, runc and gVisor's
 * runsc understand. Each enclosure is a bundle of its own; each life of it is one `run`.
 *
 * crun and runc share the host's kernel with all sandboxes, as bubblewrap does. runsc puts a kernel of its own in between.
 */
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { IsolationUnavailable, type OciPath } from "../driver.ts";
import { noNetworksBy } from "../egress/network.ts";
import type { Networks } from "../egress/networks.ts";
import { openNetworks } from "../egress/open.ts";
import { IsolatingDriver, type Maker } from "../isolating-driver.ts";
import { isolationOf, tryNetwork, tryOut } from "../isolation.ts";
import { openPremises, type Premises, type PremisesOptions } from "../premises.ts";
import { mountPlain, unmount } from "../private-mounts.ts";
import { namespacesRemedy } from "../remedies.ts";
import { configOf, mountsOf, namespaces } from "./bundle.ts";
import { lookAtMounts } from "./host-mounts.ts";
import { beginLife } from "./life.ts";
import { limitsOf } from "./limits.ts";
import { RootFolders } from "./rootfs.ts";
import { type FoundRuntime, findRuntime, type OciRuntime } from "./runtimes.ts";
import { openUserNamespaces, type UserNamespaces, type Users } from "./user-namespaces.ts";

interface Place {
  readonly premises: Premises;
  readonly runtime: FoundRuntime;
  readonly roots: RootFolders;
  /** Undefined where the runtime makes user namespaces, as the worker's user; with what sandboxes lack then, if anything. */
  readonly owned: UserNamespaces | undefined;
  readonly lack: string | undefined;
  /** Undefined for a runtime whose sandboxes can have none. */
  readonly networks: Networks | undefined;
}

export class OciDriver extends IsolatingDriver<Place, Users> {
  constructor(runtime: OciRuntime | OciPath, options: PremisesOptions = {}) {
    super(maker(runtime, options));
  }
}

/** It writes frames to the device by itself, where the kernel's rules for what leaves a namespace aren't asked. */
const PASSES_RULES_BY = ", because gVisor's own network stack would pass by the rules inside";

function maker(name: OciRuntime | OciPath, given: PremisesOptions): Maker<Place, Users> {
  let made = 0;
  return {
    name: `oci:${name}`,
    async open() {
      const runtime = await findRuntime(name);
      const premises = await openPremises(given, { programMakesGroups: runtime.ownCgroup });
      if (runtime.name !== "crun" && premises.uids === undefined) {
        await premises.close();
        throw new IsolationUnavailable(
          `${name} needs users of the host for its sandboxes, which this worker can't become`,
          "Run the worker as root, or choose oci:crun or bubblewrap.",
        );
      }
      if (runtime.channel === "input" && premises.cgroups.backEnd === "none") {
        await premises.close();
        throw new IsolationUnavailable(
          `${name} starts processes that only a control group of their own holds together, and none can be made here`,
          "Run the worker where it may make control groups, or choose oci:crun or bubblewrap.",
        );
      }
      const place = await openRoots(premises, runtime);
      const { roots } = place;
      const none = { owned: undefined, lack: undefined, networks: undefined };
      if (runtime.channel === "input")
        return { premises: { ...place.premises, places: undefined }, runtime, roots, ...none };
      const { owned, lack } = await openUserNamespaces(premises, runtime);
      const withNetworks = openNetworks(place.premises, given.egress);
      const close = async () => {
        await owned?.close();
        await withNetworks.premises.close();
      };
      const { networks } = withNetworks;
      return { premises: { ...withNetworks.premises, close }, runtime, roots, owned, lack, networks };
    },
    async examine({ premises, runtime, lack, networks }, driver) {
      const { latePlacement } = await tryOut(driver, premises, namespacesRemedy);
      const networkless = await tryNetwork(driver);
      return isolationOf(premises, {
        driver: `oci:${name}`,
        namespaces,
        latePlacement,
        ...(runtime.channel === "input"
          ? { unlessPlaced: "No sandbox is booted before it is needed: gVisor doesn't see what is mounted later." }
          : {}),
        pidsOtherwise: "rlimit",
        ...(networks !== undefined && networkless === undefined ? { egress: networks.way } : {}),
        lacks: [lack, networkless?.message].filter((each) => each !== undefined),
      });
    },
    overhead: ({ runtime }) => runtime.overhead,
    berth: ({ owned }) => owned?.take(),
    async planNetwork({ networks }, egress, gid) {
      if (networks === undefined) throw noNetworksBy(`oci:${name}`, PASSES_RULES_BY);
      return networks.plan(egress, gid);
    },
    async prepare({ premises, runtime, roots, owned }, spec, reserved) {
      const { uids, tmp, mounts, cgroup, network, berth, onRelease } = reserved;
      const { name: instance, architecture, host, folder, programGroups } = premises;
      made += 1;
      const number = made;
      const bundle = join(folder, "own", `bundle-${number}`);
      onRelease(() => rm(bundle, { recursive: true, force: true }));
      await mkdir(bundle, { mode: 0o711 });
      const group = runtime.ownCgroup ? `own-${number}` : undefined;
      // What the runtime made for itself and, when it was killed, could not remove.
      if (group !== undefined) onRelease(async () => programGroups?.remove(group));
      const shown = [...host.topLevel.keys(), "/usr", host.etc, ...host.etcFromHost, ...mounts.map(({ from }) => from)];
      const onHost = await lookAtMounts(shown);
      const userNamespace = berth?.namespace ?? (await owned?.of(uids));
      // That of a berth ends with the berth.
      if (berth === undefined) onRelease(async () => userNamespace?.close());
      const facts = { instance, architecture, runtime, host, tmp, mounts, spec, onHost };
      const config = configOf({
        ...facts,
        uids: uids.length > 0 ? uids : [runtime.ownUser],
        userNamespace: userNamespace?.path,
        rootfs: await roots.for(mountsOf(facts)),
        cgroupsPath: group === undefined ? undefined : `${programGroups?.path}/${group}`,
      });
      await writeFile(join(bundle, "config.json"), JSON.stringify(config));
      return () =>
        beginLife({
          id: runtime.channel === "input" ? `${instance}-${number}` : instance,
          instance,
          runtime,
          limits: limitsOf(runtime, spec, userNamespace !== undefined).before,
          bundle,
          cgroup,
          network,
        });
    },
  };
}

/** Roots for sandboxes, where the runtime can use them; closing the premises closes them. */
async function openRoots(premises: Premises, runtime: FoundRuntime) {
  const folder = join(premises.folder, "own");
  if (!runtime.needsPlainRoot) return { premises, roots: new RootFolders(folder, premises.host) };
  const plain = join(folder, "roots");
  const close = async () => {
    await unmount(plain);
    await premises.close();
  };
  await mountPlain(plain).catch(async (error: Error) => {
    await close();
    throw new IsolationUnavailable(
      `${runtime.name} needs a mount of its own for its sandboxes: ${error.message}`,
      "Run the worker where it may mount, or choose another driver.",
    );
  });
  return { premises: { ...premises, close }, roots: new RootFolders(plain, premises.host) };
}
