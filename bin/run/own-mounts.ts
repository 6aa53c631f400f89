/** Mounts of a worker's own, however it was started. */
import { findProgram } from "../../actors/sandbox/drivers/find-program.ts";
import { hasPrivateMounts, privateMountsIfAllowed } from "../../actors/sandbox/drivers/private-mounts.ts";

/** Where the host allows them and there are none yet, this process begins anew with them: same pid, same descriptors. */
export async function beginWithOwnMounts(): Promise<void> {
  if (hasPrivateMounts() || process.execve === undefined) return;
  const [program = "", ...args] = await privateMountsIfAllowed();
  const path = program === "" ? undefined : await findProgram(program);
  if (path === undefined) return;
  process.execve(path, [program, ...args, process.execPath, ...process.execArgv, ...process.argv.slice(1)]);
}
