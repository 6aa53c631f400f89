/** What the kernel shows from outside of who inside a sandbox has called somebody there. */
import { readFile } from "node:fs/promises";

const ESTABLISHED = "01";

/**
 * Whether something in the network of process `pid` has connected to this port of it, accepted or not. Source: proc(5),
 * /proc/net/tcp: addresses and ports are hexadecimal.
 */
export async function isCalledAt(pid: number, port: number): Promise<boolean> {
  const table = await readFile(`/proc/${pid}/net/tcp`, "utf8").catch(() => "");
  const at = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return table.split("\n").some((line) => {
    const [, local = "", , state] = line.trim().split(/\s+/);
    return local.endsWith(at) && state === ESTABLISHED;
  });
}
