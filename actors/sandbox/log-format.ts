/**
 * LogFormat JSON: which lines are kept, and how the platform's own look.
 * Source: Lambda developer guide, "Using Lambda advanced logging controls with your functions", and Telemetry API schema.
 */
import type { FunctionSpec } from "../../subjects/function.ts";
import { logLevels } from "./frames.ts";
import type { LogLevel } from "./runtime-init.ts";

type Logging = Pick<FunctionSpec, "logFormat" | "applicationLogLevel" | "systemLogLevel">;

/** One of the platform's own events; `level` is the least SystemLogLevel that leaves it out no more. */
export interface PlatformEvent {
  readonly type: `platform.${string}`;
  readonly level: "DEBUG" | "INFO" | "WARN";
  /** Epoch ms. */
  readonly at: number;
  readonly record: Readonly<Record<string, unknown>>;
}

const rank = (level: LogLevel): number => logLevels.indexOf(level);

/**
 * Whether a function's line is kept. `level` is the one it was written with through a runtime's own client; what came
 * otherwise says its level itself, as JSON with a key `level`, or counts as INFO.
 */
export function isKept({ logFormat, applicationLogLevel = "INFO" }: Logging, text: string, level: LogLevel): boolean {
  if (logFormat === "Text" || rank(applicationLogLevel) <= rank("TRACE")) return true;
  return rank(level === "NONE" ? levelIn(text) : level) >= rank(applicationLogLevel);
}

/** The platform's events as lines of the log, those that are below the function's SystemLogLevel left out. */
export const platformLines = ({ systemLogLevel = "INFO" }: Logging, events: readonly PlatformEvent[]): string[] =>
  events
    .filter(({ level }) => rank(level) >= rank(systemLogLevel))
    .map(({ type, at, record }) => JSON.stringify({ time: new Date(at).toISOString(), type, record }));

function levelIn(text: string): LogLevel {
  if (!text.trimStart().startsWith("{")) return "INFO";
  try {
    const { level } = JSON.parse(text) as { level?: unknown };
    const named = String(level).toUpperCase();
    return logLevels.find((each) => each === named && each !== "NONE") ?? "INFO";
  } catch {
    return "INFO";
  }
}
