/**
 * The runtime for functions that bring their own: starts their `bootstrap` and stands between its HTTP calls and the
 * worker's frames. Its first `next` is what makes the sandbox ready; its end is the sandbox's end.
 */
"use strict";

const { spawn } = require("node:child_process");
const { accessSync, constants, statSync } = require("node:fs");
const { join } = require("node:path");
const { Channel, parseEvent } = require("../nodejs/channel.cjs");
const { RuntimeApi } = require("./runtime-api.cjs");

let bootstrap = null;
const channel = new Channel(3, onFrame, () => stop(0));
const api = new RuntimeApi(channel);

process.on("uncaughtException", (error) => {
  console.error(error);
  stop(1);
});

function onFrame(type, body) {
  if (type === 0x02) api.offer(parseEvent(body));
  else if (type === 0x01) begin(JSON.parse(body));
  else throw new Error(`unknown frame type ${type}`);
}

async function begin(init) {
  const address = await api.listen(init.runtimeApi ?? "127.0.0.1:9001");
  // A runtime that was added says where its own is; for `provided`, the function or a layer brings it.
  const own = process.argv[2];
  const candidates = own ? [own] : [join(init.taskRoot, "bootstrap"), "/opt/bootstrap"];
  const path = candidates.find((candidate) => statSync(candidate, { throwIfNoEntry: false })?.isFile());
  if (!path) return refuseEntrypoint(`Couldn't find valid bootstrap(s): [${candidates.join(" ")}]`);
  try {
    accessSync(path, constants.X_OK);
  } catch {
    return refuseEntrypoint(`${path}: permission denied`);
  }
  // Its own process group, so that all it starts can be ended with it where no PID namespace does that.
  bootstrap = spawn(path, [], {
    cwd: init.taskRoot,
    env: { ...init.env, AWS_LAMBDA_RUNTIME_API: address },
    stdio: ["ignore", "inherit", "inherit"],
    detached: true,
  });
  bootstrap.once("error", (error) => refuseEntrypoint(`${path}: ${error.message}`));
  bootstrap.once("exit", (code, signal) => {
    channel.exit(code, signal);
    stop(code ?? 1);
  });
}

function refuseEntrypoint(reason) {
  const errorType = "Runtime.InvalidEntrypoint";
  channel.initError(errorType, JSON.stringify({ errorType, errorMessage: `RequestId:  Error: ${reason}` }));
  stop(1);
}

function stop(exitCode) {
  try {
    if (bootstrap?.pid) process.kill(-bootstrap.pid, "SIGKILL");
  } catch {
    // The whole group has ended already.
  }
  process.exit(exitCode);
}
