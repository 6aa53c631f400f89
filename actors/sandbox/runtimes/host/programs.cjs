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

/** The paths of the external extensions. */
function extensionPrograms(layersRoot) {
  const folder = join(layersRoot, "extensions");
  if (!existsSync(folder) || existsSync(join(layersRoot, switchesOff))) return [];
  const entries = readdirSync(folder, { withFileTypes: true });
  return entries.flatMap((entry) => (entry.isDirectory() ? [] : [join(folder, entry.name)])).sort();
}

/** What isn't about the runtime. */
function extensionEnvironment(env) {
  const isTheirs = ([name]) => !name.startsWith("_") && !notForExtensions.has(name);
  return Object.fromEntries(Object.entries(env).filter(isTheirs));
}

/**
 * What the host serves: the bootstrap of a runtime that was added, where its path is given; otherwise the function brings its
 * own, or a layer does. Throws an Error that says why there is none.
 */
function bootstrapProgram(taskRoot, layersRoot, added) {
  const candidates = added ? [added] : [join(taskRoot, "bootstrap"), join(layersRoot, "bootstrap")];
  const path = candidates.find((candidate) => statSync(candidate, { throwIfNoEntry: false })?.isFile());
  if (!path) throw new Error(`Couldn't find valid bootstrap(s): [${candidates.join(" ")}]`);
  try {
    accessSync(path, constants.X_OK);
  } catch {
    throw new Error(`${path}: permission denied`);
  }
  return path;
}

module.exports = { bootstrapProgram, extensionEnvironment, extensionPrograms };
