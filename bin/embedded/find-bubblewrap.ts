/** bubblewrap, which builds the sandboxes: found or fetched like the server. */
import { debianPackage } from "./debian.ts";
import type { FindOptions } from "./find-nats-server.ts";
import { type FoundProgram, findProgram } from "./find-program.ts";

/** The first that can forbid sandboxes further user namespaces (`--disable-userns`). */
export const oldestBubblewrap = "0.8.0";

/**
 * MAYFLY_BWRAP, PATH, fetched earlier, the system's package, Debian's newer release. The program isn't setuid:
 * it works where ordinary users may make user namespaces, and as root.
 * @throws ProgramMissing with the command for this system's package manager
 */
export async function findBubblewrap(options: FindOptions): Promise<FoundProgram> {
  const { tools, env = process.env, onProgress, mayFetch = true } = options;
  const from = (suite: string) => debianPackage({ package: "bubblewrap", program: ["usr/bin/bwrap"], suite }, env);
  return findProgram({
    name: "bwrap",
    variable: "MAYFLY_BWRAP",
    oldest: oldestBubblewrap,
    env,
    tools,
    ways: mayFetch ? [from("own"), from("trixie")] : [],
    remedy:
      `Install bubblewrap ${oldestBubblewrap} or newer, or set MAYFLY_BWRAP to its path:\n` +
      "  apt-get install bubblewrap    (Debian, Ubuntu)\n" +
      "  dnf install bubblewrap        (Fedora, RHEL)\n" +
      "  apk add bubblewrap            (Alpine)\n" +
      "  pacman -S bubblewrap          (Arch)",
    ...(onProgress && { onProgress }),
  });
}
