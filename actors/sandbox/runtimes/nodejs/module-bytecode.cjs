/**
 * V8's bytecode of a function's ES modules. Node alone can give V8 bytecode of such a module, and takes it from nowhere but
 * the files of its compile cache: here that is a folder that is gone before the function's first statement runs.
 *
 * What Node would store by itself is made before a module has run, and lacks the functions that are compiled when they are
 * called: most of what is worth keeping. So each module is compiled once more at the end of init: V8 finds its own work
 * again, which takes it little, and with it all that was compiled by then.
 */
"use strict";

const {
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} = require("node:fs");
const Module = require("node:module");
const { join } = require("node:path");
const { fileURLToPath } = require("node:url");

const prefix = "/tmp/.mayfly-";
/** As Node names its files. */
const named = /^[0-9a-f]{8}$/;
const fromSourceBytes = 4096;
/** What is smaller isn't worth a file. */
const fromBytecodeBytes = 1024;

/** As `import(url)`. `kept`: what `collect` gave of it. */
async function importWith(kept, url) {
  const remove = lay(kept);
  if (remove === undefined) return import(url);
  const compiled = Symbol.for("mayfly.compiled");
  globalThis[compiled] = () => {
    delete globalThis[compiled];
    remove();
  };
  // Of what is imported nothing runs before all of it is compiled, and then what was named first.
  const first = inPlace(`globalThis[Symbol.for("${compiled.description}")]();`);
  try {
    const both = inPlace(`import ${JSON.stringify(first)}; export * as all from ${JSON.stringify(url)};`);
    return (await import(both)).all;
  } finally {
    globalThis[compiled]?.();
    // Node would hold the bytes as long as the process lives.
    Module.flushCompileCache?.();
  }
}

const inPlace = (source) => `data:text/javascript,${encodeURIComponent(source)}`;

/** Gives what takes the files away again; undefined where Node reads none. */
function lay(kept) {
  if (!canBegin()) return undefined;
  const [files, folders] = [[], []];
  const remove = () => {
    try {
      for (const path of files) unlinkSync(path);
      for (const path of folders) rmdirSync(path);
    } catch {
      rmSync(folders.at(-1), { recursive: true, force: true });
    }
  };
  try {
    const folder = mkdtempSync(prefix);
    folders.unshift(folder);
    const directory = enable(folder);
    if (directory === undefined) throw new Error("there is to be no compile cache");
    folders.unshift(directory);
    for (const [name, bytes] of kept) {
      if (!named.test(name)) continue;
      const path = join(directory, name);
      files.push(path);
      writeFileSync(path, bytes, { flag: "wx", mode: 0o600 });
    }
    return remove;
  } catch {
    // There is no room in /tmp.
    remove();
    return undefined;
  }
}

/** Not in the place of a compile cache that the function has itself. */
const canBegin = () => Module.enableCompileCache !== undefined && Module.getCompileCacheDir() === undefined;

/** Gives where Node's files are; undefined where it has been told to have none. */
function enable(folder) {
  Module.enableCompileCache(folder);
  return Module.getCompileCacheDir();
}

/**
 * What was compiled by now of the module at `entry` and of all that it imports, where that lies in `folders`: bytes by name,
 * `maxBytes` at most. Nothing else runs meanwhile, and nothing of the function runs again.
 */
function collect(entry, folders, maxBytes) {
  if (!canBegin() || !Module.flushCompileCache || !Module.registerHooks) return new Map();
  const compiler = new Compiler();
  let folder;
  try {
    const large = largeOf(compiler, entry, folders);
    if (large.length === 0) return new Map();
    folder = mkdtempSync(prefix);
    const directory = enable(folder);
    if (directory === undefined) return new Map();
    for (const url of large) compiler.compile(url);
    Module.flushCompileCache();
    return stored(directory, maxBytes);
  } finally {
    compiler.close();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  }
}

function largeOf(compiler, entry, folders) {
  const isOurs = (url) => url.startsWith("file:") && folders.some((folder) => fileURLToPath(url).startsWith(folder));
  const modules = new Set([entry]);
  const large = [];
  for (const url of modules) {
    const { bytes, imports } = compiler.compile(url);
    if (bytes >= fromSourceBytes) large.push(url);
    // Where none were asked for, Node may remember where they are: not from another address.
    const found = imports.length > 0 ? imports : compiler.compile(`${url}#`).imports;
    for (const each of found.filter(isOurs)) modules.add(each);
  }
  return large;
}

/**
 * Compiles modules that were loaded before, and runs nothing: each is imported by one of ours, for a name that it doesn't
 * have, and with an attribute that nobody uses, by which it is another module of the same address.
 */
class Compiler {
  #require = Module.createRequire(__filename);
  #hooks;
  #count = 0;
  #now;

  constructor() {
    const isOf = (context) => context.importAttributes?.type === this.#now.name;
    this.#hooks = Module.registerHooks({
      resolve: (specifier, context, next) => {
        if (specifier === this.#now.name || isOf(context))
          return { url: specifier, format: "module", shortCircuit: true };
        const found = next(specifier, context);
        this.#now.imports.push(found.url);
        return found;
      },
      load: (url, context, next) => {
        const { name } = this.#now;
        if (url === name) return { format: "module", source: this.#now.source, shortCircuit: true };
        if (!isOf(context)) return next(url, context);
        const loaded = next(url, { ...context, importAttributes: {} });
        if (loaded.format !== "module") throw new Error(`${url} isn't an ES module`);
        this.#now.bytes = loaded.source.length;
        return { ...loaded, shortCircuit: true };
      },
    });
  }

  /** Gives its size, and where that is what it imports; nothing of what isn't an ES module. */
  compile(url) {
    const name = `mayfly:${this.#count++}`;
    const source = `import { "${name}" as none } from ${JSON.stringify(url)} with { type: "${name}" };`;
    this.#now = { name, source, bytes: 0, imports: [] };
    try {
      this.#require(name);
    } catch {
      // As it must.
    }
    return this.#now;
  }

  close() {
    this.#hooks.deregister();
  }
}

function stored(directory, maxBytes) {
  const files = new Map();
  let bytes = 0;
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    const facts = lstatSync(path);
    // 64: what else the piece takes for it.
    const grown = bytes + facts.size + 64;
    if (!named.test(name) || !facts.isFile() || facts.size < fromBytecodeBytes || grown > maxBytes) continue;
    files.set(name, readFileSync(path));
    bytes = grown;
  }
  return files;
}

module.exports = { importWith, collect };
