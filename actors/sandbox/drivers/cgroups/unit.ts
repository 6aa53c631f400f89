/**
 * The systemd unit a process stands in. One with `Delegate=yes` has its group to itself: systemd leaves alone what is made
 * below it, the unit's limits hold for all of that together, and whoever ends the unit ends it too.
 */
import { execFile } from "node:child_process";
import { join, relative } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Somebody waits for the worker meanwhile. */
const PATIENCE_MS = 3000;

export interface Unit {
  readonly name: string;
  /** Its group's folder. */
  readonly group: string;
  /** Of a user's own systemd, not of the host's. */
  readonly ofUser: boolean;
}

/** The innermost unit that the group `own` belongs to, by the names of the groups; undefined where none has a unit's. */
export function unitAt(top: string, own: string): Unit | undefined {
  const names = relative(top, own).split("/");
  const last = names.findLastIndex((name) => /\.(service|scope)$/.test(name));
  const name = names[last];
  if (name === undefined) return undefined;
  const ofUser = names.slice(0, last).some((above) => /^user@\d+\.service$/.test(above));
  return { name, group: join(top, ...names.slice(0, last + 1)), ofUser };
}

/** Whether the unit has `Delegate=yes`, as its systemd tells; false where it tells nothing. */
export async function isDelegated({ name, ofUser }: Unit): Promise<boolean> {
  const words = [...(ofUser ? ["--user"] : []), "show", "--property=Delegate", "--value", "--", name];
  const told = await run("systemctl", words, { timeout: PATIENCE_MS }).catch(() => undefined);
  return told?.stdout.trim() === "yes";
}
