/** The project's own TypeScript, parsed, for tests that read it as text rather than run it. */
import { readFileSync } from "node:fs";
import { glob } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import ts from "typescript";

export const root = fileURLToPath(new URL("../../", import.meta.url));

export interface Source {
  /** From the project's root. */
  readonly path: string;
  readonly lines: number;
  readonly tree: ts.SourceFile;
}

/** All `.ts` files of some folders. */
export async function sources(...folders: readonly string[]): Promise<Source[]> {
  const paths: string[] = [];
  for (const folder of folders) for await (const path of glob(`${folder}/**/*.ts`, { cwd: root })) paths.push(path);
  return paths.sort().map(source);
}

export function source(path: string): Source {
  const text = readFileSync(`${root}${path}`, "utf8");
  return {
    path,
    lines: text.trimEnd().split("\n").length,
    tree: ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true),
  };
}

/** Every place where `found` says what is wrong there, as `path:line what`. */
export function findings({ path, tree }: Source, found: (node: ts.Node) => string | undefined): string[] {
  const all: string[] = [];
  const visit = (node: ts.Node): void => {
    const what = found(node);
    if (what !== undefined) all.push(`${path}:${tree.getLineAndCharacterOfPosition(node.getStart()).line + 1} ${what}`);
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return all;
}
