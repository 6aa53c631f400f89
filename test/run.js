/**
 * `npm test`: the static checks, then every test, then what was skipped and why; the last line is
 * `N passed, N failed`, where a static check counts as one. Arguments are vitest's, and leave out the static checks.
 *
 * Plain JavaScript, for whatever Node.js the person has; what it starts runs under the one that Mayfly brings along.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const bin = join(root, "node_modules", ".bin");
const ownNode = join(root, "node_modules", `node-${process.platform}-${process.arch}`, "bin", "node");
const node = existsSync(ownNode) ? ownNode : process.execPath;
const chosen = process.argv.slice(2);

const checks = [
  { name: "the types agree (tsc)", args: [join(bin, "tsc"), "--noEmit"] },
  { name: "the style is kept (biome)", args: [join(bin, "biome"), "check"] },
  { name: "nothing is unused (knip)", args: [join(bin, "knip")] },
];

let interrupted;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    interrupted = signal;
    // A terminal's Ctrl-C reaches the child by itself.
    if (!(signal === "SIGINT" && process.stdin.isTTY)) running?.kill(signal);
  });
}
let running;

const total = { passed: 0, failed: [], skipped: [] };
for (const { name, args } of chosen.length === 0 ? checks : []) {
  console.log(`\n${name}`);
  if ((await run(args)) === 0) total.passed += 1;
  else total.failed.push(name);
  if (interrupted) break;
}
if (!interrupted) await runTests();
if (interrupted) total.failed.push(`interrupted by ${interrupted}`);

for (const line of skippedLines(total.skipped)) console.log(line);
if (total.failed.length > 0) console.log(["\nFailed:", ...total.failed.map((name) => `  ${name}`)].join("\n"));
console.log(`\n${total.passed} passed, ${total.failed.length} failed`);
process.exitCode = interrupted ? 128 + constants.signals[interrupted] : Number(total.failed.length > 0);

async function runTests() {
  const folder = mkdtempSync(join(tmpdir(), "mayfly-summary-"));
  const file = join(folder, "summary.json");
  try {
    const summarizing = fileURLToPath(import.meta.resolve("./support/summary-reporter.ts"));
    const reporters = ["--reporter=default", `--reporter=${summarizing}`];
    const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
    const code = await run([vitest, "run", ...reporters, ...chosen], { MAYFLY_TEST_SUMMARY: file });
    const summary = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : { passed: 0, failed: [], skipped: [] };
    total.passed += summary.passed;
    total.failed.push(...summary.failed);
    total.skipped.push(...summary.skipped);
    if (code !== 0 && summary.failed.length === 0) total.failed.push(`vitest ended with exit status ${code}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Resolves with the exit code. */
function run(args, env = {}) {
  const path = [dirname(node), process.env.PATH].join(delimiter);
  return new Promise((resolve) => {
    running = spawn(node, args, { cwd: root, stdio: "inherit", env: { ...process.env, PATH: path, ...env } });
    running.once("error", (error) => {
      console.error(error.message);
      resolve(1);
    });
    running.once("exit", (code, signal) => resolve(code ?? 128 + constants.signals[signal]));
  });
}

/** A line for each test, or one for several of a file that have the same reason. */
function skippedLines(skipped) {
  if (skipped.length === 0) return [];
  const groups = new Map();
  for (const each of skipped) {
    const key = `${each.file} ${each.reason}`;
    groups.set(key, [...(groups.get(key) ?? []), each]);
  }
  const lines = [...groups.values()].map(([first, ...more]) => {
    const what = more.length === 0 ? first.title : `${more.length + 1} tests, such as ${first.title}`;
    return `  ${first.file} > ${what}: ${first.reason}`;
  });
  return [`\nSkipped (${skipped.length}):`, ...lines];
}
