/**
 * A network for sandboxes that are to have one: opt-in per sandbox, and never more than it names.
 *
 *   Networks      one per driver instance: knows whether it can be had here, and what the machine's owner permits
 *   NetworkPlan   one per sandbox: its destinations, checked before anything is made
 *   Attachment    one per life: from before its program is let go until its last process is gone
 *
 * A driver needs to know of a sandbox only the pid of a process in its network namespace, held until `attach` resolved.
 */
import type { DriverName, Mount } from "../driver.ts";

/** How packets leave the sandbox. `slirp4netns`: by a process beside it that speaks for it; nothing of the host is changed. */
export type Way = "slirp4netns";

export interface EgressOptions {
  /** `auto`: the best that works here. `off`: no function gets any, whatever it asks for. */
  readonly way?: "auto" | "off" | Way;
  /** Private networks, as a.b.c.d/length, that a function may name. None unless said. */
  readonly permitted?: readonly string[];
  /** Addresses of the platform's own servers at this time, which no function may reach. */
  readonly platform?: () => Promise<readonly string[]>;
  /** How often living sandboxes' rules are brought up to the host's and the platform's addresses; 5 s unless said. */
  readonly refreshMs?: number;
}

/** What is mounted into a sandbox with a network, and the memory and processes the network takes of the sandbox's. */
export interface NetworkPlan {
  readonly mounts: readonly Mount[];
  readonly overhead: { readonly memoryMiB: number; readonly pids: number };
  /**
   * Gives the network namespace of process `pid` its network and its rules; both stand when this resolves. Rejects, leaving
   * nothing, with `EgressUnavailable`, or as the system does where there is no such process any more.
   */
  attach(pid: number): Promise<Attachment>;
}

export interface Attachment {
  /** Processes that work for this sandbox alone, to be counted with it. */
  readonly pids: readonly number[];
  /** Resolves, with the reason, when the network is gone though nobody took it away. */
  readonly lost: Promise<string>;
  /** Takes it away. Safe at any moment, and twice; resolves when nothing is left. */
  detach(): Promise<void>;
}

const NONE_HERE = "no function gets a network here";

/** No sandbox can have a network here; `remedy` says what the machine's owner can do about it. */
export class EgressUnavailable extends Error {
  override readonly name = "EgressUnavailable";
  readonly remedy: string;

  constructor(missing: string, remedy: string) {
    super(`${NONE_HERE}: ${missing}. ${remedy}`);
    this.remedy = remedy;
  }
}

/** What a driver whose sandboxes can have no network says to whoever asks for one. */
export const noNetworksBy = (driver: DriverName, because = ""): EgressUnavailable =>
  new EgressUnavailable(
    `the driver ${driver} makes none${because}`,
    "Choose one that does (MAYFLY_SANDBOX=bubblewrap, oci:crun or oci:runc).",
  );

/** Among what an isolation lacks, the reason why no sandbox has a network. */
export const isAboutEgress = (lack: string): boolean => lack.startsWith(NONE_HERE);

/** A sandbox asks for what the machine's owner doesn't permit. */
export class EgressForbidden extends Error {
  override readonly name = "EgressForbidden";
}
