/** The moment between a sandbox that stands and a program that is let go: it gets its group, and the network it is to have. */
import type { Writable } from "node:stream";
import type { Cgroup } from "./cgroups/cgroup.ts";
import { killQuietly } from "./cgroups/files.ts";
import type { Attachment, NetworkPlan } from "./egress/network.ts";

export interface Settling {
  readonly cgroup: Cgroup;
  /** Undefined for none. */
  readonly network: NetworkPlan | undefined;
}

/**
 * The network's own processes are counted with the sandbox. With `isInGroup` its first process was born there. Rejects,
 * leaving no network, as `attach` and `join` do.
 */
export async function settle(
  { cgroup, network }: Settling,
  firstPid: number,
  isInGroup = false,
): Promise<Attachment | undefined> {
  if (!isInGroup) await cgroup.join(firstPid);
  const attachment = await network?.attach(firstPid);
  try {
    for (const each of attachment?.pids ?? []) await cgroup.join(each);
  } catch (error) {
    await attachment?.detach();
    throw error;
  }
  return attachment;
}

/**
 * Without its network a sandbox isn't what was asked for: its first process is killed when it is lost, and the next life
 * gets another.
 */
export function endWithNetwork(
  attachment: Attachment | undefined,
  { firstPid, stderr, isOver }: { firstPid: number; stderr: Writable; isOver: () => boolean },
): void {
  void attachment?.lost.then((why) => {
    if (isOver()) return;
    if (stderr.writable) stderr.write(`${why}: the sandbox ends, because its network is gone\n`);
    killQuietly(firstPid);
  });
}
