#!/usr/bin/env node
/**
 * Starts the `mayfly` command under the Node.js it was made for, whatever Node.js (20 or newer) the person has.
 *
 * Plain JavaScript, and nothing but this file is loaded before the right Node.js runs: a newer one goes on in this
 * process; one that knows `execve` becomes the pinned one; an older one starts it as a child and stands in for it.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const wantedMajor = 24;
const here = dirname(fileURLToPath(import.meta.url));
const source = join(here, "cli.ts");
/** A checkout runs its sources; a packed install, where Node.js strips no types, what was built from them. */
const cli = existsSync(source) ? source : join(here, "..", "dist", "bin", "cli.js");
const quiet = "--disable-warning=ExperimentalWarning";

if (Number.parseInt(process.versions.node, 10) >= wantedMajor) {
  const warn = process.emitWarning;
  process.emitWarning = (warning, ...rest) => {
    const [kind] = rest;
    const type = typeof kind === "object" ? kind?.type : kind;
    if (type !== "ExperimentalWarning") warn.call(process, warning, ...rest);
  };
  const { main } = await import(pathToFileURL(cli).href);
  await main(process.argv);
} else {
  const node = pinnedNode();
  const args = [quiet, cli, ...process.argv.slice(2)];
  if (node === undefined) {
    console.error(
      `mayfly: Node.js ${wantedMajor} is needed, this is ${process.versions.node}, and the one that comes with Mayfly is missing.\n` +
        `Install again without --omit=optional, or use Node.js ${wantedMajor}.`,
    );
    process.exitCode = 1;
  } else if (typeof process.execve === "function") {
    process.removeAllListeners("warning");
    process.execve(node, [node, ...args]);
  } else {
    standInFor(spawn(node, args, { stdio: "inherit" }));
  }
}

/** The Node.js among Mayfly's dependencies. */
function pinnedNode() {
  try {
    const manifest = createRequire(import.meta.url).resolve(`node-${process.platform}-${process.arch}/package.json`);
    const node = join(dirname(manifest), "bin", "node");
    return existsSync(node) ? node : undefined;
  } catch {
    return undefined;
  }
}

/** Passes signals on to the child, and ends as it ends. */
function standInFor(child) {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR2"]) {
    process.on(signal, () => {
      // A terminal's Ctrl-C reaches the child by itself; a second one would mean "at once".
      const heard = signal === "SIGINT" && process.stdin.isTTY;
      if (!heard) child.kill(signal);
    });
  }
  child.once("error", (error) => {
    console.error(`mayfly: ${error.message}`);
    process.exit(1);
  });
  child.once("exit", (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
    // Where the signal doesn't end us, the shell's way of saying it does.
    setTimeout(() => process.exit(128 + constants.signals[signal]), 100);
  });
}
