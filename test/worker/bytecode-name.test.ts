import fc from "fast-check";
import { expect, test } from "vitest";
import { bytecodeName } from "../../actors/worker/bytecode-name.ts";
import type { FunctionSpec } from "../../subjects/function.ts";
import { spec } from "../support/machines.ts";

const node = { version: "24.21.0", file: "/node:1:2:3:4" };
const own = bytecodeName(spec(), node);

test.each<[string, Partial<FunctionSpec>]>([
  ["another account", { acct: "111111111111" }],
  ["another function", { fn: "other" }],
  ["another version", { version: "1" }],
  ["other code", { codeSha256: "1".repeat(64) }],
  ["a layer", { layerSha256s: ["2".repeat(64)] }],
  ["another runtime", { runtime: "nodejs22.x" }],
  ["another architecture", { architecture: "arm64" }],
])("%s has bytecode of its own", (_, change) => {
  expect(bytecodeName(spec(change), node)).not.toBe(own);
});

test.each([
  ["another version of Node.js", { version: "24.21.1" }],
  ["another file of that version", { file: "/node:1:2:3:5" }],
])("%s has bytecode of its own", (_, change) => {
  expect(bytecodeName(spec(), { ...node, ...change })).not.toBe(own);
});

test("what compiles to the same has the same", () => {
  const change = { revision: "r2", environment: { A: "1" }, memoryMiB: 512, timeoutMs: 9, tmpMiB: 600 };
  expect(bytecodeName(spec(change), node)).toBe(own);
});

test("names of two functions are only the same if all that counts is", () => {
  const part = fc.constantFrom("a", "b", "a,b", '","', "");
  const one = fc.record({ acct: part, fn: part, version: part, codeSha256: part, layerSha256s: fc.array(part) });
  fc.assert(
    fc.property(one, one, (a, b) => {
      const isSame = JSON.stringify(a) === JSON.stringify(b);
      expect(bytecodeName(spec(a), node) === bytecodeName(spec(b), node)).toBe(isSame);
    }),
  );
});
