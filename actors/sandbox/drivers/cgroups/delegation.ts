/** What gives a worker control groups with every controller, where it has too few: the command that does it on this host. */
import { access, readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import type { Hierarchy } from "./find.ts";
import { WORKERS } from "./v2.ts";

const needed = ["cpu", "memory", "pids"];
const AS_ROOT = "Run the worker as root";

/** For a worker of the host's user `uid` that stands where `found` says. `systemd` is the folder that tells who manages groups. */
export async function delegationRemedy(
  found: readonly Hierarchy[],
  uid: number,
  systemd = "/run/systemd/system",
): Promise<string> {
  const unified = found.find(({ version }) => version === 2);
  const given = unified && (await controllersOf(unified.top));
  if (!unified || !hasAll(given)) {
    return uid === 0
      ? "Mount control groups with the controllers cpu, memory and pids, writable, at /sys/fs/cgroup."
      : `${AS_ROOT}.`;
  }
  if (uid === 0) return `Make ${unified.top} writable to the worker: in a container, run it with --privileged.`;
  if (!(await exists(systemd))) return `${AS_ROOT}, or ${byHand(unified, uid)}`;
  const service = /^system\.slice\/(?:.*\/)?([^/]+\.service)/.exec(relative(unified.top, unified.own))?.[1];
  if (service !== undefined) {
    return `${AS_ROOT}, or give ${service} its groups: add the line Delegate=yes to its section [Service] (systemctl edit ${service}), and restart it.`;
  }
  return `${AS_ROOT}, or ${await byItsManager(unified.top, uid)}`;
}

/** An ordinary user's scopes get what their manager has: before systemd 252, not the processors. */
async function byItsManager(top: string, uid: number): Promise<string> {
  const manager = await controllersOf(join(top, "user.slice", `user-${uid}.slice`, `user@${uid}.service`));
  const within = process.env.XDG_RUNTIME_DIR ? "" : `XDG_RUNTIME_DIR=/run/user/${uid} `;
  const inScope = `in a scope of its own: ${within}systemd-run --user --scope -p Delegate=yes mayfly up`;
  if (manager === undefined) return `have root do loginctl enable-linger ${uid}, and start it ${inScope}`;
  if (hasAll(manager)) return inScope;
  const dropIn = "/etc/systemd/system/user@.service.d/delegate.conf";
  return `have root write the lines [Service] and Delegate=cpu memory pids into ${dropIn} and do systemctl daemon-reload && systemctl restart user@${uid}, and start it ${inScope}`;
}

/**
 * Without systemd: root makes a group, hands down the controllers, and moves the user's shell in, where workers would move
 * it: so it can be done for the next shell too, when a group with processes could have no more controllers.
 */
function byHand({ top }: Hierarchy, uid: number): string {
  const group = join(top, `mayfly-${uid}`);
  return [
    "have root give your shell a group:",
    `echo +cpu +memory +pids >${join(top, "cgroup.subtree_control")}; mkdir -p ${join(group, WORKERS)}; chown -R ${uid} ${group};`,
    `echo PID-OF-THE-SHELL >${join(group, WORKERS, "cgroup.procs")}`,
  ].join(" ");
}

const hasAll = (controllers: readonly string[] | undefined): boolean =>
  controllers !== undefined && needed.every((each) => controllers.includes(each));

/** Undefined where there is no such group. */
const controllersOf = (group: string): Promise<string[] | undefined> =>
  readFile(join(group, "cgroup.controllers"), "utf8").then(
    (text) => text.trim().split(/\s+/),
    () => undefined,
  );

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
