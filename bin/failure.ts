/**
 * How the command ends: exit codes that scripts can rely on, and errors told with their name and what to do.
 *
 *   0  done
 *   1  the function failed, or something unforeseen did
 *   2  wrong usage: nothing was done
 *   3  refused, by the platform or for a reason with a name; the name is told
 *   4  Mayfly isn't running
 */
import { CommanderError } from "commander";
import { Refused } from "../subjects/errors.ts";

export const EXIT = { done: 0, failed: 1, usage: 2, refused: 3, notRunning: 4 } as const;

/** What the person typed can't be meant. */
export class Misused extends Error {
  override readonly name = "Misused";
}

export class NotRunning extends Error {
  override readonly name = "NotRunning";
  readonly remedy = "start it with `mayfly up`";
}

/** Names whose bearers are refusals, with what to do in `remedy`. They are known by name because their files load much. */
const REFUSALS: ReadonlySet<string> = new Set([
  "AlreadyClaimed",
  "AlreadyRunning",
  "IsolationUnavailable",
  "NotReady",
  "PackageUnfit",
  "ProgramMissing",
  "RuntimeInUse",
  "RuntimeInstallFailed",
  "RuntimeNotInstalled",
  "RuntimePackageUnfit",
]);

export function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  if (error instanceof Misused || nameOf(error) === "ConfigError") return EXIT.usage;
  if (error instanceof NotRunning) return EXIT.notRunning;
  if (error instanceof Refused || REFUSALS.has(nameOf(error))) return EXIT.refused;
  return EXIT.failed;
}

/** For people: the message, the name where it is one, and the remedy. For `--json`: the same as one object. */
export function failureText(error: unknown, json: boolean): string {
  const name = error instanceof Refused ? error.refusal.name : nameOf(error);
  const message = error instanceof Refused ? error.refusal.message : messageOf(error);
  const remedy = remedyOf(error);
  const reason = error instanceof Refused ? error.refusal.reason : undefined;
  if (json) return JSON.stringify({ error: { name, message, reason, remedy } });
  const because = reason === undefined ? "" : ` (${reason})`;
  const named =
    name === "Error" || name === "NotRunning" || name === "Misused" ? message : `${name}: ${message}${because}`;
  return `mayfly: ${named}${remedy === undefined || message.includes(remedy) ? "" : `\n  ${remedy}`}`;
}

const nameOf = (error: unknown): string => (error instanceof Error ? error.name : "Error");
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function remedyOf(error: unknown): string | undefined {
  const remedy = typeof error === "object" && error !== null && "remedy" in error ? error.remedy : undefined;
  return typeof remedy === "string" && remedy !== "" ? remedy : undefined;
}
