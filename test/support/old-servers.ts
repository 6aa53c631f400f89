/** nats-servers of older releases, as Debian has them: unpacked beside the installed packages, for the next test run too. */
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { debianPackage } from "../../bin/embedded/debian.ts";

const folder = join(import.meta.dirname, "..", "..", "node_modules", ".cache", "mayfly", "old-servers");
const PROGRAM = ["usr/sbin/nats-server", "usr/bin/nats-server"];

/** The program's path, or why there is none. */
export async function oldServer(suite: "bookworm" | "trixie"): Promise<{ path: string } | { why: string }> {
  const shelf = join(folder, suite);
  try {
    await mkdir(shelf, { recursive: true });
    const before = await unpacked(shelf);
    if (before !== undefined) return { path: before };
    const { fetch } = debianPackage({ package: "nats-server", program: PROGRAM, suite }, process.env);
    return { path: await fetch(shelf, () => {}) };
  } catch (error) {
    return { why: error instanceof Error ? error.message : String(error) };
  }
}

async function unpacked(shelf: string): Promise<string | undefined> {
  const all = await readdir(shelf, { recursive: true, withFileTypes: true });
  const program = all.find((each) => each.isFile() && each.name === "nats-server" && each.parentPath.endsWith("bin"));
  return program === undefined ? undefined : join(program.parentPath, program.name);
}
