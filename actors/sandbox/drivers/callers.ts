/** What the kernel shows from outside of who inside a sandbox has called somebody there. */
import { readFile } from "node:fs/promises";

const ESTABLISHED = "01";
const LOOPBACK = "0100007F";

/**
 * Whether something in the network of process `pid` has connected to this port of it, accepted or not. Source: proc(5),
 * /proc/net/tcp: addresses and ports are hexadecimal.
 */
export async function isCalledAt(pid: number, port: number): Promise<boolean> {
  return isCalledIn(await readFile(`/proc/${pid}/net/tcp`, "utf8").catch(() => ""), port);
}

/** By such a table. gVisor's has no entry of a connection that isn't accepted but the caller's own. */
export function isCalledIn(table: string, port: number): boolean {
  const at = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return table.split("\n").some((line) => {
    const [, local = "", remote = "", state] = line.trim().split(/\s+/);
    return (local.endsWith(at) || remote === LOOPBACK + at) && state === ESTABLISHED;
  });
}
