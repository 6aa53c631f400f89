/** The last 4 KB of an invocation's log, kept only when the caller asked for it (`X-Amz-Log-Type: Tail`). */
import type { Tail } from "./outcome.ts";

export const TAIL_BYTES = 4096;

const textOf = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join("");

export class LogTail {
  #lines: string[] | undefined;
  #bytes = 0;
  /** What came before the event; undefined while none has come. */
  #init: string | undefined;

  /** A process begins: what it says before its first event is told to whoever sent that. */
  begin(wanted: boolean): void {
    this.#init = undefined;
    this.#restart(wanted);
  }

  /** An event is delivered. */
  event(wanted: boolean): void {
    this.#init = this.#lines === undefined ? "" : textOf(this.#lines);
    this.#restart(wanted);
  }

  add(line: string): void {
    if (this.#lines === undefined) return;
    this.#lines.push(line);
    this.#bytes += line.length + 1;
    while (this.#bytes - (this.#lines[0]?.length ?? 0) > TAIL_BYTES)
      this.#bytes -= (this.#lines.shift()?.length ?? 0) + 1;
  }

  /** The lines so far, or `undefined` when nobody asked. */
  end(): Tail | undefined {
    const [lines, init] = [this.#lines, this.#init];
    this.#lines = undefined;
    if (lines === undefined) return undefined;
    return init === undefined ? { init: textOf(lines), event: "" } : { init, event: textOf(lines) };
  }

  #restart(wanted: boolean): void {
    this.#lines = wanted ? [] : undefined;
    this.#bytes = 0;
  }
}
