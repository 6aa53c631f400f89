/**
 * The port every sandbox driver implements.
 *
 *   SandboxDriver  one per worker: knows whether isolation is possible here and makes enclosures
 *   Enclosure      the place of one execution environment: its /tmp, its limits, its identity
 *   Booted         one life of the processes in it; an enclosure may be booted again after the last one ended
 *
 * The function's environment, code and events never pass through this port: they travel over `Booted.channel`
 * once the runtime inside listens, so nothing secret is ever on a command line or in an inherited environment.
 */
import type { Duplex, Readable } from "node:stream";
import type { Egress } from "../../../subjects/egress.ts";

/** A driver per way of isolating, and one for development that doesn't: "process" is never chosen but by its name. */
export type DriverName = "bubblewrap" | "oci:crun" | "oci:runc" | "oci:runsc" | `oci:${OciPath}` | "process";
/** An OCI runtime by where it is. */
export type OciPath = `/${string}`;

/** What keeps a sandbox apart from the host and from the next one, as it was found to work here. */
export interface Isolation {
  readonly driver: DriverName;
  /** Kinds of namespace of its own, such as "user", "pid", "mount", "net", "ipc", "uts", "cgroup". */
  readonly namespaces: readonly string[];
  readonly seccomp: boolean;
  readonly limits: {
    readonly memory: "cgroup" | "none";
    readonly pids: "cgroup" | "rlimit" | "none";
    readonly cpu: "cgroup" | "none";
  };
  /** Concurrent sandboxes run as different users of the host. */
  readonly uidPerSandbox: boolean;
  /** How sandboxes that are to have a network get one; absent: none can. */
  readonly egress?: string;
  /** `Enclosure.freeze` stops its processes; where false it does nothing. */
  readonly freezes: boolean;
  /** `EnclosureSpec.latePlaces` and `Enclosure.placeCode` work. */
  readonly latePlacement: boolean;
  /**
   * Programs inside see mounts at their `to`, and nothing else of the host's files but its programs. Where false they see
   * the host as it is: only words of `command` are turned into the host's paths, and what goes over `channel` must name those.
   */
  readonly ownRoot: boolean;
  /** What is missing, each in plain words and with the way to get it. Empty when nothing is. */
  readonly lacks: readonly string[];
}

/** A read-only view of a host file or folder inside the sandbox. Both paths are absolute. */
export interface Mount {
  readonly from: string;
  readonly to: string;
}

export interface EnclosureSpec {
  /** Unique on this worker while the enclosure lives; `[A-Za-z0-9_-]+`. Not visible inside. */
  readonly id: string;
  /**
   * Hard limit over all its processes. What they write to /tmp counts too, because /tmp is memory. A driver with a kernel of
   * its own in each sandbox adds a fixed allowance for that.
   */
  readonly memoryMiB: number;
  /** Its weight where processors are scarce, in processors; it never gets more than this or one, whichever is more. */
  readonly cpus: number;
  /** Processes and threads together. */
  readonly pids: number;
  /** Size of /tmp. */
  readonly tmpMiB: number;
  /** Seen read-only inside: code at /var/task, layers at /opt, the interpreter… A mount on /usr replaces the host's. */
  readonly mounts: readonly Mount[];
  /**
   * Absolute folders inside that are empty until `placeCode` fills them. Only where `Isolation.latePlacement` says so:
   * elsewhere `create` rejects a spec that has any.
   */
  readonly latePlaces?: readonly string[];
  /**
   * What of the network it may reach; absent or empty: nothing, not even the host itself. A driver that can't give just
   * this rejects `create` with `EgressUnavailable` or `EgressForbidden`; never does it give less or more.
   */
  readonly egress?: Egress;
  /** The program and its arguments, as paths inside the sandbox. Visible inside: no secrets. */
  readonly command: readonly string[];
}

/** How one life ended. `code` and `signal` are as the program's own parent would have seen them; one of them is null. */
export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
  /** The kernel killed it, or a part of it, for exceeding `memoryMiB`. Never true after `kill()`. */
  readonly outOfMemory: boolean;
  /**
   * False when the sandbox could not be set up, so that the program never ran: `stderr` says why. A program that isn't
   * there counts so, or as one that ended with code 127.
   */
  readonly started: boolean;
}

export interface Booted {
  /**
   * Descriptor 3 of the program inside: a connected byte stream. Listen to it as soon as `boot` resolves; it ends, and
   * never errs, when the other side goes.
   */
  readonly channel: Duplex;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Settles once, never rejects. When it has, no process of this life is left. */
  readonly exited: Promise<Exit>;
  /** Whether something inside has connected to this TCP port inside. Absent where that isn't seen from outside. */
  isCalledAt?(port: number): Promise<boolean>;
  /** Kills the whole process tree, whatever state it is in. Resolves when nothing of it is left. May be called again. */
  kill(): Promise<void>;
}

export interface Enclosure {
  readonly id: string;
  /**
   * Starts `spec.command`. Resolves when the isolation stands and the program has been let go, without waiting for
   * its first word; the network it is to have stands by then. May be called again after the last life ended: same /tmp
   * (where `lacks` doesn't say otherwise), new memory. Rejects with `BootFailed` when the sandbox can't be made, is still
   * running or is destroyed, with `EgressUnavailable` when it can't have its network.
   */
  boot(): Promise<Booted>;
  /** Memory now, and the most since the last boot began, of all its processes. Zeros where nothing measures it. */
  stats(): Promise<{ memoryBytes: number; peakMemoryBytes: number }>;
  /** Changes the processor share from now on, e.g. more of it while initialising. Does nothing where cpu is unlimited. */
  setCpus(cpus: number): Promise<void>;
  /**
   * Stops all its processes where they stand, until `thaw`: no timer fires, nothing is computed; memory and what was
   * written to `channel` stay. `stats`, `kill` and `destroy` work meanwhile, and a new life is never frozen. Resolves when
   * the kernel was told; of `freeze` and `thaw` the latest counts, waited for or not. Does nothing where `Isolation.freezes` is false.
   */
  freeze(): Promise<void>;
  /** Lets them go on. Does nothing to what isn't frozen. */
  thaw(): Promise<void>;
  /**
   * Shows `mounts` read-only inside, now and in every later life: each `to` is one of `spec.latePlaces`, filled once at
   * most. Programs see it at once when this resolves, but where they already are in that folder. Rejects when it can't be
   * done; what was placed before the failure then stays, so the enclosure is of no use any more.
   */
  placeCode(mounts: readonly Mount[]): Promise<void>;
  /** Removes processes, mounts, cgroups and folders. Safe at any moment, also during `boot` and twice. */
  destroy(): Promise<void>;
}

export interface SandboxDriver {
  readonly name: DriverName;
  /** Tries a real sandbox. Throws `IsolationUnavailable` when none can be made here. */
  probe(): Promise<Isolation>;
  /** Reserves everything an enclosure needs before it boots. `probe` need not have been called. */
  create(spec: EnclosureSpec): Promise<Enclosure>;
  /**
   * Resolves, with the reason, when it can make no sandbox any more, ever: somebody has removed what it keeps on this host.
   * Absent where there is nothing that could be.
   */
  readonly lost?: Promise<string>;
  /** Destroys what is left of its enclosures and gives back everything the driver holds. Idempotent. */
  close(): Promise<void>;
}

/** No sandbox can be made on this host; `remedy` says what its owner can do about it. */
export class IsolationUnavailable extends Error {
  override readonly name = "IsolationUnavailable";
  readonly remedy: string;

  constructor(missing: string, remedy: string) {
    super(missing);
    this.remedy = remedy;
  }
}

/** This one life could not begin; the message says why. The enclosure itself is still usable. */
export class BootFailed extends Error {
  override readonly name = "BootFailed";
}
