/** `mayfly.json` beside the code: what a person would otherwise say in flags each time. */
import { Misused } from "../failure.ts";

export interface Manifest {
  readonly name?: string;
  readonly runtime?: string;
  readonly handler?: string;
  readonly description?: string;
  /** MiB. */
  readonly memory?: number;
  /** Seconds. */
  readonly timeout?: number;
  /** MiB of /tmp. */
  readonly tmp?: number;
  /** `none`, `internet`, or destinations separated by commas. */
  readonly egress?: string;
  /** All variables: what isn't named is removed from a function that exists. */
  readonly environment?: Readonly<Record<string, string>>;
  /** `name` or `name:version`, the lowest first; all there are. */
  readonly layers?: readonly string[];
}

type Kind = "a text" | "a whole number" | "an object of texts" | "a list of texts";
const FIELDS: Readonly<Record<keyof Manifest, Kind>> = {
  name: "a text",
  runtime: "a text",
  handler: "a text",
  description: "a text",
  memory: "a whole number",
  timeout: "a whole number",
  tmp: "a whole number",
  egress: "a text",
  environment: "an object of texts",
  layers: "a list of texts",
};

/** Throws `Misused` with the field's name: what is misspelt isn't passed over. */
export function parseManifest(text: string, path: string): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new Misused(`${path} is no JSON: ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
  if (!isObject(value)) throw new Misused(`${path} must hold an object`);
  for (const [field, given] of Object.entries(value)) {
    const kind = Object.hasOwn(FIELDS, field) ? FIELDS[field as keyof Manifest] : undefined;
    if (kind === undefined) {
      throw new Misused(`${path}: there is no field "${field}"; there are ${Object.keys(FIELDS).join(", ")}`);
    }
    if (!fits(given, kind)) throw new Misused(`${path}: "${field}" must be ${kind}`);
  }
  return value as Manifest;
}

function fits(given: unknown, kind: Kind): boolean {
  if (kind === "a text") return typeof given === "string";
  if (kind === "a whole number") return Number.isSafeInteger(given);
  if (kind === "a list of texts") return Array.isArray(given) && given.every((each) => typeof each === "string");
  return isObject(given) && Object.values(given).every((each) => typeof each === "string");
}

const isObject = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value);
