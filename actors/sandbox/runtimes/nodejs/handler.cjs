/**
 * Finds a function's handler as Lambda does: `folder/file.export.nested`, where the file may be `.js`, `.mjs`, `.cjs` or
 * nameless in its ending, and may also be a package below `node_modules` or a layer.
 */
"use strict";

const { existsSync, readFileSync, statSync } = require("node:fs");
const Module = require("node:module");
const { basename, dirname, join, resolve } = require("node:path");
const { pathToFileURL } = require("node:url");
const { RuntimeError } = require("./errors.cjs");

const endings = ["", ".js", ".mjs", ".cjs"];

/** Throws `RuntimeError`: MalformedHandlerName, ImportModuleError, UserCodeSyntaxError or HandlerNotFound; or what the module itself throws. `importModule`: in the place of `import(url)`. */
async function loadHandler(taskRoot, name, importModule = (url) => import(url)) {
  const { folder, file, path } = parseName(name);
  searchNodePath(taskRoot);
  const loaded = await load(taskRoot, folder, file, importModule);
  const handler = pick(loaded, path) ?? pick(loaded?.default, path);
  if (handler === undefined) throw new RuntimeError("Runtime.HandlerNotFound", `${name} is undefined or not exported`);
  if (typeof handler !== "function") throw new RuntimeError("Runtime.HandlerNotFound", `${name} is not a function`);
  return handler;
}

function parseName(name) {
  if (name.includes("..")) {
    const advice = "Use absolute paths when specifying root directories in handler names.";
    throw new RuntimeError("Runtime.MalformedHandlerName", `'${name}' is not a valid handler name. ${advice}`);
  }
  const last = basename(name);
  const dot = last.indexOf(".");
  if (dot === -1) throw new RuntimeError("Runtime.MalformedHandlerName", "Bad handler");
  return {
    folder: name.slice(0, name.length - last.length),
    file: last.slice(0, dot),
    path: last.slice(dot + 1).split("."),
  };
}

function pick(from, path) {
  return path.reduce((value, key) => (value === undefined || value === null ? undefined : value[key]), from);
}

async function load(taskRoot, folder, file, importModule) {
  const stem = resolve(taskRoot, folder, file);
  try {
    for (const ending of endings) {
      const path = stem + ending;
      if (statSync(path, { throwIfNoEntry: false })?.isFile()) return await loadFile(path, importModule);
    }
    const require = Module.createRequire(join(taskRoot, "index.js"));
    return await loadFile(
      require.resolve(folder ? join(folder, file) : file, { paths: [taskRoot, join(taskRoot, folder)] }),
      importModule,
    );
  } catch (error) {
    if (error instanceof SyntaxError) throw new RuntimeError("Runtime.UserCodeSyntaxError", String(error), error);
    if (error?.code === "MODULE_NOT_FOUND" || error?.code === "ERR_MODULE_NOT_FOUND") {
      throw new RuntimeError("Runtime.ImportModuleError", String(error), error);
    }
    throw error;
  }
}

async function loadFile(path, importModule) {
  if (isEsm(path)) return importModule(pathToFileURL(path).href);
  try {
    return Module.createRequire(path)(path);
  } catch (error) {
    // ESM in a .js file of a package that doesn't say so, with top-level await: only import() can load it.
    if (error?.code === "ERR_REQUIRE_ASYNC_MODULE") return importModule(pathToFileURL(path).href);
    throw error;
  }
}

function isEsm(path) {
  if (path.endsWith(".mjs")) return true;
  if (!path.endsWith(".js")) return false;
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const manifest = join(folder, "package.json");
    if (existsSync(manifest)) return JSON.parse(readFileSync(manifest, "utf8")).type === "module";
    if (folder === dirname(folder)) return false;
  }
}

/**
 * NODE_PATH arrives after this process has begun, so Node has to look at it again. For `import`, which ignores it, the
 * layers' folders are offered when nothing else was found, where Node allows that (22.15 and later).
 */
function searchNodePath(taskRoot) {
  Module._initPaths();
  const own = [taskRoot, "/var/runtime", "/var/runtime/node_modules"];
  const layers = (process.env.NODE_PATH ?? "")
    .split(":")
    .filter((path) => path && !own.includes(path) && existsSync(path));
  if (layers.length === 0 || !Module.registerHooks) return;
  Module.registerHooks({
    resolve(specifier, context, next) {
      try {
        return next(specifier, context);
      } catch (error) {
        if (error?.code !== "ERR_MODULE_NOT_FOUND" || /^(\.|\/|[a-z]+:)/.test(specifier)) throw error;
        for (const layer of layers) {
          try {
            return next(specifier, { ...context, parentURL: pathToFileURL(join(layer, "..", "layer.mjs")).href });
          } catch {}
        }
        throw error;
      }
    },
  });
}

module.exports = { loadHandler };
