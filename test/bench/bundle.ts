/** A function of real size: what a bundler makes of some libraries, one file of 1.5 MB. */
import { readFileSync } from "node:fs";
import { createRequire, isBuiltin } from "node:module";

/** Packages of Mayfly's own, so that nothing has to be fetched; with fast-check they come to that size. */
const LIBRARIES = ["xstate", "nats", "@nats-io/jetstream", "pino", "commander", "croner", "yauzl", "fast-check"];

/** The libraries are loaded and used during init, and a little by its handler. As a bundler makes them in either format. */
export function bundles(): { readonly commonJs: string; readonly esModule: string } {
  const loaded = libraries();
  return {
    commonJs: `${loaded}module.exports = load("entry");\n`,
    esModule: `import { createRequire } from "node:module";\nconst require = createRequire(import.meta.url);\n${loaded}export const { handler } = load("entry");\n`,
  };
}

function libraries(): string {
  const parts = new Map<string, string>();
  const entry = LIBRARIES.map((name) => `exports[${JSON.stringify(name)}] = require(${JSON.stringify(name)});`).join(
    "\n",
  );
  add("entry", `${entry}\n${USE}`, createRequire(import.meta.url), parts);
  return `const parts = {\n${[...parts.values()].join(",\n")}\n};\nconst loaded = {};\n${LOAD}\n`;
}

const USE = `
const machine = exports.xstate.createMachine({ id: "m", initial: "a", states: { a: { on: { GO: "b" } }, b: {} } });
const log = exports.pino({ enabled: false });
exports.handler = async (event) => {
  const { name = "world" } = event;
  const actor = exports.xstate.createActor(machine).start();
  actor.send({ type: "GO" });
  log.info(name);
  return { hello: name, state: actor.getSnapshot().value, libraries: Object.keys(exports).length };
};`;

const LOAD = `function load(path) {
  if (loaded[path]) return loaded[path].exports;
  const [make, paths] = parts[path];
  const module = (loaded[path] = { exports: {} });
  const find = (name) => (paths[name] ? load(paths[name]) : require(name));
  make.call(module.exports, module.exports, Object.assign(find, require), module, path, "/var/task");
  return module.exports;
}`;

function add(path: string, text: string, require: NodeJS.Require, parts: Map<string, string>): void {
  if (parts.has(path)) return;
  parts.set(path, "");
  const paths: Record<string, string> = {};
  for (const [, name = ""] of text.matchAll(/\brequire\(["']([^"']+)["']\)/g)) {
    const found = isBuiltin(name) ? undefined : resolved(require, name);
    if (found === undefined) continue;
    paths[name] = found;
    add(found, readFileSync(found, "utf8"), createRequire(found), parts);
  }
  const body = path.endsWith(".json") ? `module.exports = ${text}` : text;
  const make = `function (exports, require, module, __filename, __dirname) {\n${body}\n}`;
  parts.set(path, `${JSON.stringify(path)}: [${make}, ${JSON.stringify(paths)}]`);
}

/** Some name what is only there on other platforms. */
function resolved(require: NodeJS.Require, name: string): string | undefined {
  try {
    return require.resolve(name);
  } catch {
    return undefined;
  }
}
