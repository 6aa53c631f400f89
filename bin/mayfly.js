#!/usr/bin/env node
/**
 * Starts the `mayfly` command under the Node.js it was made for, whatever Node.js (20 or newer) the person has.
 *
 * Plain JavaScript, and nothing but this file is loaded before the right Node.js runs: a newer one goes on in this
 * process; one that knows `execve` becomes the pinned one; an older one starts it as a child and stands in for it.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import module from "node:module";
import { constants, homedir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const wantedMajor = 24;
const self = fileURLToPath(import.meta.url);

if (Number.parseInt(process.versions.node, 10) >= wantedMajor) {
  silenceExperiments();
  rememberCompiled();
  // A checkout runs its sources; a packed install, where Node.js strips no types, what was built from them.
  const source = join(dirname(self), "cli.ts");
  const cli = existsSync(source) ? source : join(dirname(self), "..", "dist", "bin", "cli.js");
  const { main } = await import(pathToFileURL(cli).href);
  await main(process.argv);
} else {
  const node = pinnedNode();
  const args = [self, ...process.argv.slice(2)];
  if (node === undefined) {
    console.error(
      `mayfly: Node.js ${wantedMajor} is needed, this is ${process.versions.node}, and the one that comes with Mayfly is missing.\n` +
        `  Install again without --omit=optional, or use Node.js ${wantedMajor}.`,
    );
    process.exitCode = 1;
  } else if (typeof process.execve === "function") {
    silenceExperiments();
    process.execve(node, [node, ...args]);
  } else {
    standInFor(spawn(node, args, { stdio: "inherit" }));
  }
}

/** The Node.js among Mayfly's dependencies. */
function pinnedNode() {
  try {
    const manifest = module.createRequire(self).resolve(`node-${process.platform}-${process.arch}/package.json`);
    const node = join(dirname(manifest), "bin", "node");
    return existsSync(node) ? node : undefined;
  } catch {
    return undefined;
  }
}

function silenceExperiments() {
  const warn = process.emitWarning;
  process.emitWarning = (warning, ...rest) => {
    const type = typeof rest[0] === "object" ? rest[0]?.type : rest[0];
    if (type !== "ExperimentalWarning") warn.call(process, warning, ...rest);
  };
}

/**
 * Keeps compiled code in Mayfly's home, once there is one: starting takes half as long. Not in the common folder for
 * temporary files, where another user could leave code for us. The home's place is the one that embedded/home.ts tells.
 */
function rememberCompiled() {
  const { MAYFLY_HOME, XDG_DATA_HOME, HOME } = process.env;
  const data = XDG_DATA_HOME && isAbsolute(XDG_DATA_HOME) ? XDG_DATA_HOME : join(HOME || homedir(), ".local", "share");
  const home = MAYFLY_HOME || join(data, "mayfly");
  if (existsSync(home)) module.enableCompileCache?.(join(home, "compiled"));
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
    // Where the signal doesn't end us, the shell's way of saying that it did.
    setTimeout(() => process.exit(128 + constants.signals[signal]), 100);
  });
}
