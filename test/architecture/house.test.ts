/** The house rules that no tool knows. */
import { existsSync, readdirSync } from "node:fs";
import ts from "typescript";
import { expect, test } from "vitest";
import { findings, root, sources } from "../support/sources.ts";

const MAX_LINES = 300;
const actors = readdirSync(`${root}actors`, { withFileTypes: true })
  .filter((each) => each.isDirectory() && each.name !== "bus")
  .map(({ name }) => name);

/** Their machines decide and say; nothing of the world is given to them. */
const WITHOUT_EFFECTS = new Set(["counting", "worker-manager"]);

test.each(actors)("the folder of %s has the files every actor has", (actor) => {
  const roles = ["machine", "policy", "wiring", "index", ...(WITHOUT_EFFECTS.has(actor) ? [] : ["effects"])];
  expect(roles.filter((role) => !existsSync(`${root}actors/${actor}/${role}.ts`))).toEqual([]);
});

test("subjects are built in subjects/ only", async () => {
  // The server's own mappings speak of subjects as its configuration does, with wildcards that no contract has.
  const all = (await sources("actors", "config")).filter(({ path }) => path !== "config/nats/stamping.ts");
  const literal = (node: ts.Node) =>
    (ts.isStringLiteralLike(node) || ts.isTemplateHead(node)) && /^(mayfly\.|\$SRV)/.test(node.text)
      ? node.text
      : undefined;
  expect(all.flatMap((each) => findings(each, literal))).toEqual([]);
});

test("nothing is of type any", async () => {
  const all = await sources("actors", "subjects", "config", "bin", "test");
  const anys = (node: ts.Node) => (node.kind === ts.SyntaxKind.AnyKeyword ? "any" : undefined);
  expect(all.flatMap((each) => findings(each, anys))).toEqual([]);
});

test(`no source file is longer than ${MAX_LINES} lines`, async () => {
  const all = await sources("actors", "subjects", "config", "bin");
  expect(all.filter(({ lines }) => lines > MAX_LINES).map(({ path, lines }) => `${path}: ${lines}`)).toEqual([]);
});

test("no file is named after nothing in particular", async () => {
  const all = await sources("actors", "subjects", "config", "bin", "test");
  expect(
    all.map(({ path }) => path).filter((path) => /\/(utils?|helpers?|types?|manager|common|misc)\.ts$/.test(path)),
  ).toEqual([]);
});

test("a test that is skipped says why", async () => {
  const all = (await sources("test")).filter(({ path }) => path !== "test/support/unless.ts");
  const silent = (node: ts.Node) => {
    if (ts.isPropertyAccessExpression(node)) {
      const [of, how] = [node.expression.getText(), node.name.text];
      const isSilent =
        how === "skipIf" || how === "runIf" || (how === "skip" && ["describe", "it", "test"].includes(of));
      return isSilent ? `${of}.${how}` : undefined;
    }
    const isBare = ts.isCallExpression(node) && node.arguments.length === 0;
    return isBare && /^(\w+\.)?skip$/.test(node.expression.getText()) ? "skip()" : undefined;
  };
  expect(all.flatMap((each) => findings(each, silent))).toEqual([]);
});
