/** Functions of a size whose bytecode is worth keeping, which tell what V8 was given of it. */

/** A handler that says for each file that is compiled by a script of its own: `nothing`, `taken` or `refused`. */
export const GIVEN = `
const vm = require("node:vm");
const given = {};
vm.Script = class extends vm.Script {
  constructor(code, options) {
    super(code, options);
    const name = require("node:path").basename(options.filename);
    given[name] = options.cachedData === undefined ? "nothing" : this.cachedDataRejected ? "refused" : "taken";
  }
};
const large = require("./large.js");
exports.handler = async () => ({ answer: large.answer(), given });
`;

/** A module of some 100 kB that holds `body`, with many functions after it. */
export const large = (body: string): string => `${body}\n${Array.from({ length: 600 }, (_, n) => filler(n)).join("")}`;

const filler = (n: number): string =>
  `function filler${n}(a, b) { const sum = a + b + ${n}; return sum > ${n} ? { sum, text: "the sum of ${n}" } : [a, b].map((each) => each * ${n}); }\n`;

/** What an ES module imports to tell whether V8 had bytecode of it: of a function that only gets called when it is loaded. */
export const COMPILED = `
import { setFlagsFromString } from "node:v8";
setFlagsFromString("--allow-natives-syntax");
const stateOf = new Function("f", "return %GetOptimizationStatus(f)");
setFlagsFromString("--no-allow-natives-syntax");
export const given = (called, never) => (stateOf(called) === stateOf(never) ? "nothing" : "taken");
`;

/** A large ES module that exports `given`: `nothing` or `taken`. `from`: where `COMPILED` is. */
export const largeModule = (body: string, from = "./compiled.mjs"): string =>
  large(`import { given as judge } from "${from}"; function called() {} function never() {}
    export const given = judge(called, never); called(); ${body}`);
