/** Dependencies point one way; .dependency-cruiser.mjs says which, and why. */
import { cruise, type ICruiseResult } from "dependency-cruiser";
import extractOptions from "dependency-cruiser/config-utl/extract-depcruise-options";
import extractTsConfig from "dependency-cruiser/config-utl/extract-ts-config";
import ts from "typescript";
import { beforeAll, expect, test } from "vitest";
import { findings, root, source } from "../support/sources.ts";

let result: ICruiseResult;
beforeAll(async () => {
  const options = await extractOptions(`${root}.dependency-cruiser.mjs`);
  const cruised = await cruise(["actors", "subjects", "config", "bin"], { ...options, baseDir: root }, undefined, {
    tsConfig: extractTsConfig(`${root}tsconfig.json`),
  });
  result = cruised.output as ICruiseResult;
});

test("no dependency points the wrong way", () => {
  expect(result.summary.totalCruised).toBeGreaterThan(100);
  expect(result.summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} → ${to}`)).toEqual([]);
});

const PURE = /^actors\/[^/]+\/((leases|backlog|stem-cells)\/)?(machine|policy)\.ts$/;
const WORLD = new Set(["Date.now", "Math.random", "performance.now", "new Date", "crypto.randomUUID"]);
const TIMERS = new Set(["setTimeout", "setInterval", "setImmediate", "queueMicrotask", "fetch", "console"]);

/** What would make a machine depend on anything but its events. */
function impure(node: ts.Node): string | undefined {
  if (
    ts.isImportDeclaration(node) &&
    ts.isStringLiteral(node.moduleSpecifier) &&
    node.moduleSpecifier.text.startsWith("node:")
  ) {
    return `imports ${node.moduleSpecifier.text}`;
  }
  if (node.kind === ts.SyntaxKind.AsyncKeyword) return "is async";
  if (node.kind === ts.SyntaxKind.AwaitExpression) return "awaits";
  if (ts.isPropertyAccessExpression(node) && WORLD.has(node.getText())) return `reads ${node.getText()}`;
  if (ts.isNewExpression(node) && node.expression.getText() === "Date" && !node.arguments?.length)
    return "reads the clock";
  if (ts.isCallExpression(node) && ts.isIdentifier(node.expression) && TIMERS.has(node.expression.text)) {
    return `calls ${node.expression.text}`;
  }
  return ts.isPropertyAccessExpression(node) &&
    /^(process|console)\.(env|log|error|exit|hrtime|nextTick|cwd|argv|pid)$/.test(node.getText())
    ? `touches ${node.getText()}`
    : undefined;
}

test("machines and policies, and all they are made of, read no clock, roll no dice and wait for nothing", () => {
  const byPath = new Map(result.modules.map((each) => [each.source, each]));
  const reached = new Set<string>();
  const reach = (path: string): void => {
    if (reached.has(path) || !path.startsWith("actors/")) return;
    reached.add(path);
    for (const { resolved, typeOnly } of byPath.get(path)?.dependencies ?? []) if (typeOnly !== true) reach(resolved);
  };
  const pure = [...byPath.keys()].filter((path) => PURE.test(path));
  expect(pure.length).toBeGreaterThanOrEqual(14);
  pure.forEach(reach);
  expect([...reached].flatMap((path) => findings(source(path), impure))).toEqual([]);
});
