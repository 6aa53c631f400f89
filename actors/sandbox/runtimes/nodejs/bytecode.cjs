/**
 * V8's bytecode of a function's files: what an earlier sandbox of the same function version handed over isn't compiled
 * again, and what this one compiled can be handed over in its turn, with the functions that were compiled by then.
 *
 * Only files of the package and its layers, which are the same in every such sandbox, and of a size that is worth it:
 * CommonJS here, the ES modules that a handler's own imports in module-bytecode.cjs. Node does all the rest of loading a
 * module itself; what it alone can judge (TypeScript, source maps, errors of syntax) it is left to compile. Bytecode that V8
 * refuses, or that was made of another text, is passed over.
 *
 * In one piece: u32 length of an index, the index as JSON, and the bytecode of each file in its order, from multiples of 8
 * on. The index: `{files: [[path, characters, crc32, bytes], …], modules: [[name, bytes], …]}`.
 */
"use strict";

const Module = require("node:module");

const fromCharacters = 4096;
const run = Symbol.for("mayfly.run");
/** Node compiles this in the place of a file: it makes `require`, knows what is being loaded, and runs what we compiled. */
const stub = 'return module[Symbol.for("mayfly.run")].call(this, exports, require, module, __filename, __dirname);';
const [before, after] = Module.wrapper;

class Bytecode {
  #folders;
  #maxBytes;
  #kept;
  /** The handler's own module, where that is an ES module. */
  #module;
  /** By path: `{script, characters, crc32}`, of what was compiled here. */
  #compiled = new Map();
  #original = Module.prototype._compile;
  #ours;

  /** `piece`: as an earlier `collect` gave it, or empty. Files in `folders` only, and `maxBytes` of bytecode at most. */
  constructor(piece, folders, maxBytes) {
    this.#folders = folders.map((folder) => `${folder}/`);
    this.#maxBytes = maxBytes;
    this.#kept = parse(piece);
    const bytecode = this;
    this.#ours = function _compile(content, filename, format) {
      const compiled = bytecode.#compile(content, filename, format);
      if (compiled === undefined) return bytecode.#original.call(this, content, filename, format);
      this[run] = function (...given) {
        delete given[2][run];
        return Reflect.apply(compiled, this, given);
      };
      return bytecode.#original.call(this, stub, filename, "commonjs");
    };
    Module.prototype._compile = this.#ours;
  }

  /** As `import(url)` does, of the handler's own module. */
  import(url) {
    this.#module = url;
    const { modules } = this.#kept;
    if (modules.size === 0) return import(url);
    this.#kept.modules = new Map();
    return require("./module-bytecode.cjs").importWith(modules, url);
  }

  /** What was compiled here so far, in one piece; empty when nothing was. Compiling is Node's again from now on. */
  collect() {
    if (Module.prototype._compile === this.#ours) Module.prototype._compile = this.#original;
    const [files, parts] = [[], []];
    let bytes = 0;
    for (const [path, { script, characters, crc32 }] of this.#compiled) {
      const data = script.createCachedData();
      // 256 and more: what the index takes.
      const grown = bytes + aligned(data.length) + 256 + 4 * path.length;
      if (grown > this.#maxBytes) continue;
      bytes = grown;
      files.push([path, characters, crc32, data.length]);
      parts.push(data);
    }
    this.#compiled.clear();
    this.#kept.files.clear();
    const modules = [];
    for (const [name, data] of this.#collectModules(this.#maxBytes - bytes)) {
      modules.push([name, data.length]);
      parts.push(data);
    }
    if (parts.length === 0) return Buffer.alloc(0);
    const text = Buffer.from(JSON.stringify({ files, modules }));
    const piece = Buffer.alloc(parts.reduce((end, part) => end + aligned(part.length), aligned(4 + text.length)));
    piece.writeUInt32BE(text.length, 0);
    text.copy(piece, 4);
    let at = aligned(4 + text.length);
    for (const part of parts) {
      part.copy(piece, at);
      at += aligned(part.length);
    }
    return piece;
  }

  #collectModules(maxBytes) {
    if (this.#module === undefined) return new Map();
    try {
      return require("./module-bytecode.cjs").collect(this.#module, this.#folders, maxBytes);
    } catch {
      // Without room in /tmp there is none.
      return new Map();
    }
  }

  /** The file's function, as Node's own wrapper makes it; undefined for one that is none of ours. */
  #compile(content, filename, format) {
    if (format !== undefined && format !== "commonjs") return undefined;
    if (typeof content !== "string" || content.length < fromCharacters || content.startsWith("#!")) return undefined;
    if (!this.#folders.some((folder) => filename.startsWith(folder)) || process.sourceMapsEnabled) return undefined;
    try {
      const characters = content.length;
      // Not before there is a file that is worth it: they take a start some time.
      const vm = require("node:vm");
      const crc32 = require("node:zlib").crc32(Buffer.from(content, "latin1"));
      const kept = this.#kept.files.get(filename);
      const isOfThis = kept?.characters === characters && kept.crc32 === crc32;
      const script = new vm.Script(before + content + after, {
        filename,
        columnOffset: -before.length,
        importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
        ...(isOfThis ? { cachedData: kept.data } : {}),
      });
      if (!isOfThis || script.cachedDataRejected) this.#compiled.set(filename, { script, characters, crc32 });
      return script.runInThisContext();
    } catch {
      // An error of syntax, maybe because it is an ES module: Node says so, or knows what to do.
      return undefined;
    }
  }
}

/** V8 copies what isn't aligned. */
const aligned = (bytes) => Math.ceil(bytes / 8) * 8;

function parse(piece) {
  const kept = { files: new Map(), modules: new Map() };
  if (piece.length === 0) return kept;
  try {
    // A copy: the piece is only valid for now, and lies anywhere.
    const bytes = Buffer.allocUnsafeSlow(piece.length);
    piece.copy(bytes);
    const textEnd = 4 + bytes.readUInt32BE(0);
    const { files, modules } = JSON.parse(bytes.toString("utf8", 4, textEnd));
    let at = aligned(textEnd);
    const next = (length) => {
      const data = bytes.subarray(at, at + length);
      at += aligned(length);
      return data;
    };
    for (const [path, characters, crc32, length] of files)
      kept.files.set(path, { characters, crc32, data: next(length) });
    for (const [name, length] of modules) kept.modules.set(name, next(length));
    return kept;
  } catch {
    return { files: new Map(), modules: new Map() };
  }
}

module.exports = { Bytecode };
