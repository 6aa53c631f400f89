/** The programs a host starts: each leads a process group, so that all it started can be ended with it. */
"use strict";

const { spawn } = require("node:child_process");

const maxLine = 256 * 1024;

/**
 * Starts a program. `heard`: `{line(text), failed(error), exited(code, signal)}`; `failed` when it can't be started at all,
 * else `exited` once. `hasChannel`: it gets a stream at descriptor 3, here `channel`.
 */
function start(command, { cwd, env, hasChannel = false }, heard) {
  const stdio = ["ignore", "pipe", "pipe", ...(hasChannel ? ["pipe"] : [])];
  const child = spawn(command[0], command.slice(1), { cwd, env, stdio, detached: true });
  child.once("error", heard.failed);
  child.once("exit", (code, signal) => {
    isGone = true;
    // What it wrote last may still be on its way here.
    setImmediate(() => heard.exited(code, signal));
  });
  for (const stream of [child.stdout, child.stderr]) lines(stream, heard.line);
  let isGone = false;
  const signal = (name) => {
    try {
      if (child.pid) process.kill(-child.pid, name);
    } catch {
      // The whole group has ended already.
    }
  };
  const gone = new Promise((resolve) => child.once("exit", resolve).once("error", resolve));
  return { channel: child.stdio[3], gone, isGone: () => isGone, signal };
}

/** Cuts a stream into lines; a line without an end is cut as a log event is. */
function lines(stream, heard) {
  let rest = "";
  stream.setEncoding("utf8");
  stream.on("error", () => {});
  stream.on("data", (chunk) => {
    const parts = (rest + chunk).split("\n");
    rest = parts.pop();
    for (const part of parts) heard(part);
    for (; rest.length > maxLine; rest = rest.slice(maxLine)) heard(rest.slice(0, maxLine));
  });
  stream.on("end", () => {
    if (rest !== "") heard(rest);
  });
}

module.exports = { start };
