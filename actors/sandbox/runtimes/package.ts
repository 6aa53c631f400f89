/**
 * A runtime that somebody added: a folder with a manifest, `runtime.json`, and an executable `bootstrap` that speaks Lambda's
 * Runtime API. README.md beside this file tells how to make one.
 */
import { access, constants, readFile, stat } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import type { Architecture } from "../../../subjects/function.ts";

export const MANIFEST = "runtime.json";

/** What `runtime.json` says, checked. */
export interface RuntimePackage {
  /** What functions name as their Runtime. */
  readonly name: string;
  readonly version: string;
  /** Empty: it runs on any. */
  readonly architectures: readonly Architecture[];
  /** Absolute folder of the host that is seen at /var/lang. */
  readonly lang: string | undefined;
}

/** A folder can't be taken for a runtime; the message says why. */
export class RuntimePackageUnfit extends Error {
  override readonly name = "RuntimePackageUnfit";
  readonly remedy = "see actors/sandbox/runtimes/README.md";
}

const NAME = /^[a-z][a-z0-9._-]{0,63}$/;
const ARCHITECTURES: readonly string[] = ["x86_64", "arm64"] satisfies Architecture[];
const FIELDS = ["name", "version", "architectures", "lang"];

/** The runtime that `folder` holds. Throws `RuntimePackageUnfit`. */
export async function readRuntimePackage(folder: string): Promise<RuntimePackage> {
  const file = join(folder, MANIFEST);
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw new RuntimePackageUnfit(`${file} can't be read`, { cause });
  });
  const found = parse(text, file, folder);
  const bootstrap = join(folder, "bootstrap");
  const isFile = await stat(bootstrap).then(
    (facts) => facts.isFile(),
    () => false,
  );
  if (!isFile) throw new RuntimePackageUnfit(`${bootstrap} is missing: it is what starts a function`);
  await access(bootstrap, constants.X_OK).catch((cause: unknown) => {
    throw new RuntimePackageUnfit(`${bootstrap} can't be executed`, { cause });
  });
  if (found.lang !== undefined && !(await isFolder(found.lang)))
    throw new RuntimePackageUnfit(`${found.lang}, which ${file} names as "lang", is no folder`);
  return found;
}

function parse(text: string, file: string, folder: string): RuntimePackage {
  const wrong = (why: string) => new RuntimePackageUnfit(`${file}: ${why}`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw wrong(`it is no JSON: ${cause instanceof Error ? cause.message : cause}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong("it must hold an object");
  const unknown = Object.keys(value).find((field) => !FIELDS.includes(field));
  if (unknown !== undefined) throw wrong(`there is no field "${unknown}"; there are ${FIELDS.join(", ")}`);
  const { name, version, architectures = [], lang } = value as Record<string, unknown>;
  if (typeof name !== "string" || !NAME.test(name))
    throw wrong('"name" must be a text of small letters, digits, ".", "_" and "-", such as ruby3.4');
  if (typeof version !== "string" || version === "") throw wrong('"version" must be a text, such as 3.4.1');
  if (!Array.isArray(architectures) || !architectures.every((each) => ARCHITECTURES.includes(each)))
    throw wrong(`"architectures" must be a list of ${ARCHITECTURES.join(" and ")}`);
  if (lang !== undefined && (typeof lang !== "string" || lang === "")) throw wrong('"lang" must be a folder\'s path');
  return {
    name,
    version,
    architectures,
    lang: lang === undefined || isAbsolute(lang) ? lang : join(folder, lang),
  };
}

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (facts) => facts.isDirectory(),
    () => false,
  );
