/**
 * What a sandbox looks like from the inside, as the `config.json` of an OCI bundle (opencontainers/runtime-spec 1.0.2).
 * Pure: paths in, the configuration out. Its contents are those of `bubblewrap/profile.ts` in other words.
 */
import type { EnclosureSpec, Mount } from "../driver.ts";
import { HOSTNAME, SANDBOX_ID } from "../etc.ts";
import { type HostFacts, PLAIN_ENVIRONMENT, SHARED_MEMORY_MIB, type Tmp } from "../host-facts.ts";
import { ociSeccomp } from "../seccomp/oci.ts";
import { seccompFilter } from "../seccomp/policy.ts";
import type { Architecture } from "../seccomp/syscalls.ts";
import { firstProcess } from "./first-process.ts";
import type { OnHost } from "./host-mounts.ts";
import { limitsOf } from "./limits.ts";
import type { FoundRuntime } from "./runtimes.ts";

const MiB = 1024 * 1024;

export interface BundleFacts {
  /** The driver instance's name. */
  readonly instance: string;
  readonly architecture: Architecture;
  readonly runtime: FoundRuntime;
  readonly host: HostFacts;
  /** The host's users that are root and the function's inside; one when the worker can't become others. */
  readonly uids: readonly number[];
  /** The path of a user namespace of these; undefined where the runtime is to make one. */
  readonly userNamespace: string | undefined;
  /** An absolute path of a folder that has a place for every mount. */
  readonly rootfs: string;
  readonly tmp: Tmp;
  readonly mounts: readonly Mount[];
  readonly spec: EnclosureSpec;
  /** About the host's paths to be shown. */
  readonly onHost: OnHost;
  /** The path of the group the runtime makes for itself, where it does. */
  readonly cgroupsPath: string | undefined;
}

/** The namespaces of its own, by the names `Isolation` uses. */
export const namespaces = ["user", "pid", "mount", "net", "ipc", "uts", "cgroup"] as const;
const ociNames: Partial<Record<string, string>> = { net: "network" };

/** Every mount in its order, what is mounted later covering what came before. */
export function mountsOf({
  host,
  tmp,
  mounts,
  runtime,
  onHost,
}: Pick<BundleFacts, "host" | "tmp" | "mounts" | "runtime" | "onHost">) {
  const isGvisor = runtime.name === "runsc";
  const ownUsr = mounts.some(({ to }) => to === "/usr");
  const view = (from: string, to: string) => {
    const noexec = runtime.setsFlagsAnew && onHost.noexec.has(from) ? ["noexec"] : [];
    if (!onHost.divided.has(from)) return bind(from, to, ["bind", "ro", "nosuid", "nodev", ...noexec, "rslave"]);
    // gVisor itself keeps all of it from being written to.
    const below = isGvisor ? [] : ["rro", "rnosuid", "rnodev"];
    return bind(from, to, ["rbind", "ro", "nosuid", "nodev", ...below, ...noexec, "rslave"]);
  };
  const shared = SHARED_MEMORY_MIB * MiB;
  return [
    ...(ownUsr ? [] : [view("/usr", "/usr")]),
    ...[...host.topLevel].flatMap(([name, target]) => (target === null ? [view(name, name)] : [])),
    view(host.etc, "/etc"),
    ...host.etcFromHost.map((path) => view(path, path)),
    mount("proc", "/proc", ["nosuid", "noexec", "nodev"]),
    // Root's in any case. gVisor's devices can't be written to where the folder can't be. Without terminals, of which the
    // kernel has some for the whole host.
    mount("tmpfs", "/dev", ["nosuid", "noexec", "mode=755", `size=${64 * 1024}`, ...(isGvisor ? [] : ["ro"])]),
    mount("tmpfs", "/dev/shm", ["nosuid", "noexec", "nodev", "mode=1777", `size=${shared}`]),
    // gVisor shows a /sys of its own making where there is none.
    ...(isGvisor ? [mount("tmpfs", "/sys", ["ro", "nosuid", "noexec", "nodev", "mode=700"])] : []),
    "from" in tmp
      ? bind(tmp.from, "/tmp", ["bind", "rw", "nosuid", "nodev"])
      : mount("tmpfs", "/tmp", ["nosuid", "nodev", "mode=1777", `size=${tmp.sizeMiB * MiB}`]),
    ...mounts.map(({ from, to }) => view(from, to)),
  ];
}

const bind = (source: string, destination: string, options: readonly string[]) => ({
  destination,
  type: "bind",
  source,
  options,
});
const mount = (type: string, destination: string, options: readonly string[]) => ({
  destination,
  type,
  source: type,
  options,
});

export function configOf(facts: BundleFacts): object {
  const { spec, runtime, host, architecture } = facts;
  const none: string[] = [];
  const limits = limitsOf(runtime, spec, facts.userNamespace !== undefined);
  return {
    ociVersion: "1.0.2",
    process: {
      terminal: false,
      user: { uid: SANDBOX_ID, gid: SANDBOX_ID },
      args: firstProcess(facts.instance, runtime.channel, [...limits.inside, ...spec.command]),
      env: Object.entries({ ...PLAIN_ENVIRONMENT, PWD: "/var/task" }).map((entry) => entry.join("=")),
      cwd: "/var/task",
      noNewPrivileges: true,
      capabilities: { bounding: none, effective: none, inheritable: none, permitted: none, ambient: none },
      rlimits: limits.byRuntime,
    },
    root: { path: facts.rootfs, readonly: true },
    hostname: HOSTNAME,
    mounts: mountsOf(facts),
    ...(runtime.filter === "instructions"
      ? { annotations: { "run.oci.seccomp_bpf_data": seccompFilter(architecture).toString("base64") } }
      : {}),
    linux: {
      namespaces: namespaces.map((name) => ({
        type: ociNames[name] ?? name,
        ...(name === "user" && facts.userNamespace !== undefined ? { path: facts.userNamespace } : {}),
      })),
      ...(facts.userNamespace === undefined || runtime.asksForMap ? idMappings(facts.uids) : {}),
      ...(facts.cgroupsPath === undefined ? {} : { cgroupsPath: facts.cgroupsPath }),
      rootfsPropagation: "rslave",
      maskedPaths: [...host.maskedFiles, ...host.maskedFolders],
      readonlyPaths: ["/proc/sys"],
      ...(runtime.filter === "instructions"
        ? {}
        : { seccomp: ociSeccomp(architecture, { numbers: runtime.filter === "words" }) }),
    },
  };
}

function idMappings(uids: readonly number[]) {
  const mappings = mapOf(uids).map(([containerID, hostID]) => ({ containerID, hostID, size: 1 }));
  return { uidMappings: mappings, gidMappings: mappings };
}

/** Inside and on the host. Root inside is another user of the host than the function is, and neither owns anything there. */
export function mapOf([own = 0, root]: readonly number[]): ReadonlyArray<readonly [number, number]> {
  return [[SANDBOX_ID, own], ...(root === undefined ? [] : [[0, root] as const])];
}
