/** What a deployment shall be, from all who have a say: flags win over mayfly.json, that over what is deployed, that over a guess. */
import type { Configuration } from "../api.ts";
import { Misused } from "../failure.ts";
import { type PackageFiles, PackageUnfit } from "./contents.ts";
import { type Detected, hasHandler, type Language, languageOf } from "./detect.ts";
import type { Manifest } from "./manifest.ts";

/** The settings a person can give, in the units they give them in. */
export interface Settings {
  readonly runtime?: string;
  readonly handler?: string;
  readonly description?: string;
  readonly memory?: number;
  readonly timeout?: number;
  readonly tmp?: number;
}

export interface Wishes {
  readonly flags: Settings & { readonly env: Readonly<Record<string, string>> };
  readonly manifest: Manifest;
  readonly present: Configuration | undefined;
  readonly detected: Detected | undefined;
  readonly files: PackageFiles;
  /** The runtime of this host for a language. */
  readonly defaultRuntime: (language: Language) => string;
  /** ARNs; undefined leaves the function's as they are. */
  readonly layers?: readonly string[] | undefined;
}

/** A part of the API's CreateFunction and UpdateFunctionConfiguration: only what was given or has to change. */
export interface Plan {
  readonly Runtime: string;
  readonly Handler: string;
  readonly Description?: string;
  readonly MemorySize?: number;
  readonly Timeout?: number;
  readonly EphemeralStorage?: { readonly Size: number };
  readonly Environment?: { readonly Variables: Readonly<Record<string, string>> };
  readonly Layers?: readonly string[];
}

export function plan(wishes: Wishes): Plan {
  const given = { ...wishes.manifest, ...defined(wishes.flags) };
  const variables = environmentOf(wishes);
  return {
    ...program(given, wishes),
    ...(given.description === undefined ? {} : { Description: given.description }),
    ...(given.memory === undefined ? {} : { MemorySize: given.memory }),
    ...(given.timeout === undefined ? {} : { Timeout: given.timeout }),
    ...(given.tmp === undefined ? {} : { EphemeralStorage: { Size: given.tmp } }),
    ...(variables === undefined ? {} : { Environment: { Variables: variables } }),
    ...(wishes.layers === undefined ? {} : { Layers: wishes.layers }),
  };
}

/** Whether the function is not yet as planned. */
export const differs = (present: Configuration, plan: object): boolean =>
  Object.entries(plan).some(([name, wanted]) => canonical(asWished(present, name)) !== canonical(wanted));

const EMPTY: Readonly<Record<string, unknown>> = { Environment: { Variables: {} }, Description: "" };

/** A configuration tells more of a layer than a wish may. */
const asWished = (present: Configuration, name: string): unknown =>
  name === "Layers" ? (present.Layers ?? []).map(({ Arn }) => Arn) : (present[name] ?? EMPTY[name]);

/** JSON with sorted keys. */
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, each: unknown) =>
    typeof each === "object" && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
      : each,
  );

function program(
  given: Settings,
  { present, detected, files, defaultRuntime }: Wishes,
): Pick<Plan, "Runtime" | "Handler"> {
  const language = given.runtime === undefined ? undefined : languageOf(given.runtime);
  const guess =
    detected !== undefined && (language === undefined || language === detected.language) ? detected : undefined;
  const kept = stillFits(present, files, guess) ? present : undefined;
  const Runtime = given.runtime ?? kept?.Runtime ?? (guess && defaultRuntime(guess.language));
  if (Runtime === undefined) {
    throw new PackageUnfit(
      "nothing in it tells how to run it",
      "put index.mjs, lambda_function.py or an executable bootstrap at its root, or give --runtime and --handler",
    );
  }
  const keptHandler =
    kept?.Runtime !== undefined && languageOf(kept.Runtime) === languageOf(Runtime) ? kept.Handler : undefined;
  const Handler = given.handler ?? keptHandler ?? guess?.handler ?? (language === "provided" ? "bootstrap" : undefined);
  if (Handler === undefined)
    throw new PackageUnfit(`nothing in it looks like a handler for ${Runtime}`, "give --handler");
  return { Runtime, Handler };
}

/** A deployed function keeps its runtime and handler as long as the new code still has that handler. */
function stillFits(present: Configuration | undefined, files: PackageFiles, guess: Detected | undefined): boolean {
  const language = present?.Runtime === undefined ? undefined : languageOf(present.Runtime);
  if (language === undefined || present?.Handler === undefined) return false;
  if (guess !== undefined && guess.language !== language) return false;
  return hasHandler(files, language, present.Handler);
}

/** Undefined leaves the function's variables as they are. Flags add to them; a manifest's `environment` replaces them. */
function environmentOf({ flags, manifest, present }: Wishes): Record<string, string> | undefined {
  if (manifest.environment === undefined && Object.keys(flags.env).length === 0) return undefined;
  return { ...(manifest.environment ?? present?.Environment?.Variables), ...flags.env };
}

function defined<T extends object>(given: T): Partial<T> {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Partial<T>;
}

const NAME = /^[A-Za-z0-9-_]{1,64}$/;

/** A function's name from a folder's or file's: what can't stand in one becomes `-`. Throws `Misused` when nothing is left. */
export function nameFrom(file: string): string {
  const name = file
    .replace(/\.zip$/i, "")
    .replace(/[^A-Za-z0-9-_]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 64);
  if (!NAME.test(name)) throw new Misused(`"${file}" makes no function name: give one with --name`);
  return name;
}
