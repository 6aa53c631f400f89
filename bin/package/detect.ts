/** Guesses what a package is from what lies at its root, as a person would, and says why it thinks so. */
import type { PackageFile, PackageFiles } from "./contents.ts";

export type Language = "nodejs" | "python" | "provided";

export interface Detected {
  readonly language: Language;
  /** As Lambda writes it: `index.handler`. */
  readonly handler: string;
  /** The file that told. */
  readonly from: string;
}

const NODE_ENTRIES = ["index.mjs", "index.js", "index.cjs"];
const PYTHON_ENTRIES = ["lambda_function.py", "app.py", "index.py", "main.py", "handler.py"];
const NODE_NAMES = ["handler"];
const PYTHON_NAMES = ["lambda_handler", "handler"];

/** The language a runtime's name belongs to. */
export const languageOf = (runtime: string): Language | undefined =>
  (["nodejs", "python", "provided"] as const).find((language) => runtime.startsWith(language));

/** Undefined when nothing at the root looks like the beginning of a function. */
export async function detect(files: PackageFiles): Promise<Detected | undefined> {
  const bootstrap = files.get("bootstrap");
  if (bootstrap?.executable === true) return { language: "provided", handler: "bootstrap", from: "bootstrap" };
  const main = await packageMain(files);
  const node = [...(main === undefined ? [] : [main]), ...NODE_ENTRIES].find((name) => files.has(name));
  if (node !== undefined) return found("nodejs", files.get(node), exportedByNode, NODE_NAMES);
  const python = PYTHON_ENTRIES.find((name) => files.has(name));
  if (python !== undefined) return found("python", files.get(python), definedByPython, PYTHON_NAMES);
  return undefined;
}

/** Whether the file a handler names is in the package: one that isn't belongs to code of another time. */
export function hasHandler(files: PackageFiles, language: Language, handler: string): boolean {
  if (language === "provided") return true;
  const module = moduleOf(handler);
  const endings = language === "nodejs" ? [".mjs", ".js", ".cjs"] : [".py", "/__init__.py"];
  return endings.some((ending) => files.has(module + ending));
}

/** `src/index` in `src/index.handler`: what stands before the first dot of the last part. Python also takes dots as slashes. */
function moduleOf(handler: string): string {
  const slash = handler.lastIndexOf("/") + 1;
  return handler.slice(0, slash) + (handler.slice(slash).split(".")[0] ?? "");
}

async function found(
  language: Language,
  file: PackageFile | undefined,
  namesIn: (text: string) => string[],
  usual: readonly string[],
): Promise<Detected | undefined> {
  if (file === undefined) return undefined;
  const module = file.name.replace(/\.[^./]+$/, "");
  const names = namesIn(await file.text());
  // A bundler may have hidden the name: then the usual one is the best guess.
  const name = usual.find((each) => names.includes(each)) ?? (names.length === 1 ? names[0] : undefined) ?? usual[0];
  return { language, handler: `${module}.${name}`, from: file.name };
}

async function packageMain(files: PackageFiles): Promise<string | undefined> {
  const manifest = await files.get("package.json")?.text();
  if (manifest === undefined) return undefined;
  try {
    const { main } = JSON.parse(manifest) as { main?: unknown };
    return typeof main === "string" ? main.replace(/^\.\//, "") : undefined;
  } catch {
    return undefined;
  }
}

function exportedByNode(text: string): string[] {
  const declared = text.matchAll(/\bexport\s+(?:async\s+)?(?:const|let|var|function\*?)\s+([\w$]+)/g);
  const listed = [...text.matchAll(/\bexport\s*\{([^}]*)\}/g)].flatMap(([, list = ""]) =>
    list.split(",").map(
      (each) =>
        each
          .trim()
          .split(/\s+as\s+/)
          .at(-1) ?? "",
    ),
  );
  const assigned = text.matchAll(/\bexports\.([\w$]+)\s*=/g);
  const names = [
    ...[...declared].map(([, name = ""]) => name),
    ...listed,
    ...[...assigned].map(([, name = ""]) => name),
  ];
  return [...new Set(names.filter((name) => name !== "" && name !== "default"))];
}

const definedByPython = (text: string): string[] =>
  [...text.matchAll(/^(?:async\s+)?def\s+(\w+)\s*\(|^(\w+)\s*=/gm)].map(
    ([, defined, assigned]) => defined ?? assigned ?? "",
  );
