/** Printing for people: tables, sizes, durations, and the progress of what takes a while. Results go to stdout. */
import { styleText } from "node:util";

export type Row = readonly string[];

/** Harmless, as all that is printed: functions have a part in much of it. */
export const say = (text: string): void => void process.stdout.write(`${harmless(text)}\n`);
/** What isn't the result: receipts, hints. */
export const remark = (text: string): void => void process.stderr.write(`${harmless(text, process.stderr)}\n`);
export const sayJson = (value: unknown): void => say(JSON.stringify(value, null, 2));

/** Columns as wide as their widest cell, two spaces apart. The head is shown dim where the terminal can. */
export function table(head: Row, rows: readonly Row[]): string {
  const widths = head.map((title, at) => Math.max(title.length, ...rows.map((row) => (row[at] ?? "").length)));
  const line = (row: Row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join("  ")
      .trimEnd();
  return [dim(line(head)), ...rows.map(line)].join("\n");
}

/** Names and values below each other. */
export function fields(pairs: ReadonlyArray<readonly [string, string | undefined]>): string {
  const given = pairs.filter((pair): pair is readonly [string, string] => pair[1] !== undefined);
  const width = Math.max(...given.map(([name]) => name.length));
  return given.map(([name, value]) => `${dim(name.padEnd(width))}  ${value}`).join("\n");
}

const ESCAPE = "\x1b";
const COLOUR = `${ESCAPE}\\[[0-9;]*m`;
const CONTROLS = new RegExp(`${COLOUR}|[\\p{Cc}\\p{Bidi_Control}]`, "gu");

/**
 * What a function wrote. On a terminal its colours stay, and any other control character is shown instead of obeyed: no
 * function's line erases another, turns it round or renames the window. Elsewhere it goes on as it is.
 */
export function harmless(text: string, stream: Pick<NodeJS.WriteStream, "isTTY"> = process.stdout): string {
  if (!stream.isTTY) return text;
  const shown = text.replace(CONTROLS, (found) => {
    if (found === "\n" || found === "\t" || found.length > 1) return found;
    return `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
  return shown.includes(ESCAPE) ? `${shown}${ESCAPE}[0m` : shown;
}

const UNITS = ["B", "KiB", "MiB", "GiB"];

export function bytesText(bytes: number): string {
  const step = Math.min(UNITS.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  const value = bytes / 1024 ** step;
  return `${step === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[step]}`;
}

export const msText = (us: number): string => `${(us / 1000).toFixed(us < 100_000 ? 2 : 0)} ms`;

export const dim = (text: string): string => styled("dim", text, process.stdout);
export const good = (text: string): string => styled("green", text, process.stdout);
export const bad = (text: string): string => styled("red", text, process.stdout);
export const dimRemark = (text: string): string => styled("dim", text, process.stderr);

const styled = (style: "dim" | "green" | "red", text: string, stream: NodeJS.WriteStream): string =>
  styleText(style, text, { stream });

/** Told on stderr: one line that changes on a terminal, a line for each step elsewhere. */
export class Progress {
  #shown = false;

  step(text: string): void {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${dimRemark(text)}`);
    else remark(text);
    this.#shown = true;
  }

  /** A finer step: only where it replaces the last one. */
  detail(text: string): void {
    if (process.stderr.isTTY) this.step(text);
  }

  end(): void {
    if (this.#shown && process.stderr.isTTY) process.stderr.write("\r\x1b[2K");
    this.#shown = false;
  }
}
