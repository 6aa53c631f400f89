/** Finds a Node.js of one major version on this host: each comes in an npm package that holds nothing else. */
import { access, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

export type RuntimeArch = "x64" | "arm64";

export interface NodeInterpreter {
  readonly path: string;
  readonly version: string;
}

export const nodeRuntimes = ["nodejs20.x", "nodejs22.x", "nodejs24.x", "nodejs26.x"] as const;
export const hostArch: RuntimeArch = process.arch === "arm64" ? "arm64" : "x64";

/** The package that holds Node.js for an architecture, and nothing else. */
export function nodePackage(arch: RuntimeArch): string {
  return `node-linux-${arch}`;
}

/** The major version in `nodejs22.x`; null for what isn't a Node.js runtime Mayfly knows. */
export function nodeMajor(runtime: string): number | null {
  if (!nodeRuntimes.some((known) => known === runtime)) return null;
  return Number.parseInt(runtime.slice("nodejs".length), 10);
}

/** From Mayfly's dependencies, else from where it was installed, else the one that runs this if it is of that version. */
export async function findNode(runtime: string, arch: RuntimeArch, installed: string): Promise<NodeInterpreter | null> {
  const major = nodeMajor(runtime);
  const manifest = `${nodePackage(arch)}/package.json`;
  for (const seeker of [import.meta.url, join(installed, "package.json")]) {
    try {
      const path = createRequire(seeker).resolve(manifest);
      const { version } = JSON.parse(await readFile(path, "utf8")) as { version: string };
      if (Number.parseInt(version, 10) !== major) continue;
      const binary = join(dirname(path), "bin", "node");
      await access(binary);
      return { path: binary, version };
    } catch {
      // Not there: the next place may have it.
    }
  }
  const ownMajor = Number.parseInt(process.versions.node, 10);
  if (arch === hostArch && ownMajor === major) return { path: process.execPath, version: process.versions.node };
  return null;
}
