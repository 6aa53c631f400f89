/** Which programs a sandbox runs beside this host, and what they find in their environment. */
"use strict";

const { accessSync, constants, existsSync, readdirSync, statSync } = require("node:fs");
const { join } = require("node:path");

/** An empty file of this name in a layer switches extensions off. Source: Lambda's runtime interface emulator. */
const switchesOff = "disable-extensions-jwigqn8j";
const notForExtensions = new Set([
  ...["AWS_EXECUTION_ENV", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_XRAY_CONTEXT_MISSING"],
  ...["AWS_XRAY_DAEMON_ADDRESS", "LAMBDA_RUNTIME_DIR", "LAMBDA_TASK_ROOT"],
]);

/** The paths of the external extensions: what can be executed. */
function extensionPrograms(layersRoot) {
  const folder = join(layersRoot, "extensions");
  if (!existsSync(folder) || existsSync(join(layersRoot, switchesOff))) return [];
  const paths = readdirSync(folder).map((name) => join(folder, name));
  return paths.filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile() && isExecutable(path)).sort();
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** What isn't about the runtime. */
function extensionEnvironment(env) {
  const isTheirs = ([name]) => !name.startsWith("_") && !notForExtensions.has(name);
  return Object.fromEntries(Object.entries(env).filter(isTheirs));
}

/** The first of these that is there. Throws an Error that says why there is none to start. */
function bootstrapProgram(candidates) {
  const path = candidates.find((candidate) => statSync(candidate, { throwIfNoEntry: false })?.isFile());
  if (!path) throw new Error(`Couldn't find valid bootstrap(s): [${candidates.join(" ")}]`);
  if (!isExecutable(path)) throw new Error(`${path}: permission denied`);
  return path;
}

module.exports = { bootstrapProgram, extensionEnvironment, extensionPrograms };
