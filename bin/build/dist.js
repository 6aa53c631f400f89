/**
 * Builds `dist/`, which the npm package runs from because Node.js strips no types inside node_modules: the sources as
 * JavaScript, and beside them, as they are, the files that run inside of sandboxes and the pages that tell of them.
 */
import { spawnSync } from "node:child_process";
import { cpSync, readdirSync, rmSync } from "node:fs";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const dist = join(root, "dist");
const asTheyAre = new Set([".cjs", ".mjs", ".js", ".py", ".md"]);

rmSync(dist, { recursive: true, force: true });
const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
const { status } = spawnSync(process.execPath, [tsc, "-p", join(root, "tsconfig.build.json")], { stdio: "inherit" });
if (status === 0) copyRuntimes();
else process.exitCode = status ?? 1;

function copyRuntimes() {
  for (const entry of readdirSync(join(root, "actors"), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !asTheyAre.has(extname(entry.name))) continue;
    const from = join(entry.parentPath, entry.name);
    cpSync(from, join(dist, from.slice(root.length)));
  }
}
