/** The words of `mayfly config`, read into what the API is to be told. Pure. */
import { egressFrom } from "./egress-setting.ts";
import { Misused } from "./failure.ts";

export interface Change {
  /** Fields of UpdateFunctionConfiguration. */
  readonly settings: Readonly<Record<string, unknown>> | undefined;
  /** Null removes a variable. */
  readonly variables: Readonly<Record<string, string | null>> | undefined;
  /** Parts of LoggingConfig; those that aren't given stay. */
  readonly logging: Readonly<Record<string, string>> | undefined;
  /** `name` or `name:version`, in their order; empty takes them all away. */
  readonly layers: readonly string[] | undefined;
  /** Reserved concurrency; null gives it back to the common pool. */
  readonly reserved: number | null | undefined;
  /** Destinations in the network; empty: nothing. */
  readonly egress: readonly string[] | undefined;
}

interface Setting {
  readonly field: string;
  readonly isNumber: boolean;
  /** Lambda's, where `unset` makes sense. */
  readonly byDefault?: unknown;
}

const FIELDS: Readonly<Record<string, Setting>> = {
  memory: { field: "MemorySize", isNumber: true, byDefault: 128 },
  timeout: { field: "Timeout", isNumber: true, byDefault: 3 },
  tmp: { field: "EphemeralStorage", isNumber: true, byDefault: { Size: 512 } },
  runtime: { field: "Runtime", isNumber: false },
  handler: { field: "Handler", isNumber: false },
  description: { field: "Description", isNumber: false, byDefault: "" },
};

const LOGGING: Readonly<Record<string, { readonly field: string; readonly byDefault: string }>> = {
  "log-format": { field: "LogFormat", byDefault: "Text" },
  "log-level": { field: "ApplicationLogLevel", byDefault: "INFO" },
  "system-log-level": { field: "SystemLogLevel", byDefault: "INFO" },
};

/** What can be set, besides variables. */
export const SETTINGS: readonly string[] = [
  ...Object.keys(FIELDS),
  ...Object.keys(LOGGING),
  ...["layers", "reserved", "egress"],
];

/** Throws `Misused` at the first word that can't be meant. */
export function changesOf(words: readonly string[], verb: "set" | "unset"): Change {
  const settings: Record<string, unknown> = {};
  const variables: Record<string, string | null> = {};
  const logging: Record<string, string> = {};
  let reserved: number | null | undefined;
  let layers: readonly string[] | undefined;
  let egress: readonly string[] | undefined;
  for (const word of words) {
    const { key, value } = verb === "set" ? split(word) : { key: word, value: null };
    if (key === "reserved") reserved = value === null ? null : wholeNumber(key, value);
    else if (key === "egress") egress = value === null ? [] : egressFrom(value);
    else if (key === "layers") layers = (value ?? "").split(",").filter((each) => each !== "");
    else if (key.startsWith("env.")) variables[variableName(key)] = value;
    else if (Object.hasOwn(LOGGING, key)) {
      const { field, byDefault } = LOGGING[key] ?? { field: "", byDefault: "" };
      logging[field] = value === null ? byDefault : loggingValue(key, value);
    } else {
      const setting = Object.hasOwn(FIELDS, key) ? FIELDS[key] : undefined;
      if (setting === undefined)
        throw new Misused(`there is no "${key}"; there are ${SETTINGS.join(", ")} and env.NAME`);
      settings[setting.field] = value === null ? settingDefault(key, setting) : settingValue(key, setting, value);
    }
  }
  const ifAny = <T extends object>(found: T): T | undefined => (Object.keys(found).length === 0 ? undefined : found);
  return {
    settings: ifAny(settings),
    variables: ifAny(variables),
    logging: ifAny(logging),
    layers,
    reserved,
    egress,
  };
}

function split(word: string): { key: string; value: string } {
  const equals = word.indexOf("=");
  if (equals < 1) throw new Misused(`"${word}" must be key=value`);
  return { key: word.slice(0, equals), value: word.slice(equals + 1) };
}

function variableName(key: string): string {
  const name = key.slice("env.".length);
  if (name === "") throw new Misused("env. needs a variable's name: env.NAME=value");
  return name;
}

function settingValue(key: string, { field, isNumber }: Setting, value: string): unknown {
  if (!isNumber) return value;
  const number = wholeNumber(key, value);
  return field === "EphemeralStorage" ? { Size: number } : number;
}

/** In whatever case a person writes them. */
function loggingValue(key: string, value: string): string {
  if (key !== "log-format") return value.toUpperCase();
  const format = ["JSON", "Text"].find((each) => each.toLowerCase() === value.toLowerCase());
  if (format === undefined) throw new Misused(`log-format is json or text, not "${value}"`);
  return format;
}

function settingDefault(key: string, { byDefault }: Setting): unknown {
  if (byDefault === undefined) throw new Misused(`${key} has no default; set it to something else`);
  return byDefault;
}

function wholeNumber(key: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new Misused(`${key} must be a whole number, not "${text}"`);
  return Number(text);
}
