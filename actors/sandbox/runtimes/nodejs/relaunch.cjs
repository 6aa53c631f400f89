/**
 * Starts this runtime once more inside the same sandbox, where the environment asks for what only a fresh process can
 * have: a wrapper script (AWS_LAMBDA_EXEC_WRAPPER) or Node options. The new process inherits descriptor 3; this one
 * only waits, and ends as it does.
 */
"use strict";

const { spawn } = require("node:child_process");

/** Gives false where this process can go on by itself. */
function relaunch(init, channel) {
  const { env, ...settings } = init;
  const wrapper = env.AWS_LAMBDA_EXEC_WRAPPER;
  if (!wrapper && env.NODE_OPTIONS.trim() === "--enable-source-maps") {
    process.setSourceMapsEnabled(true);
    return false;
  }
  const command = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  if (wrapper) command.unshift(wrapper);
  const child = spawn(command[0], command.slice(1), {
    cwd: init.taskRoot,
    env: { ...env, _MAYFLY_INIT: JSON.stringify(settings) },
    stdio: ["inherit", "inherit", "inherit", 3],
  });
  channel.release();
  child.once("error", (error) => {
    process.stderr.write(`${wrapper ?? process.execPath}: ${error.message}\n`);
    process.exit(127);
  });
  child.once("exit", (code, signal) => {
    if (signal) process.kill(process.pid, signal);
    else process.exit(code);
  });
  return true;
}

module.exports = { relaunch };
