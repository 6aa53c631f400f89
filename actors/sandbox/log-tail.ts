/** The last 4 KB of an invocation's log, kept only when the caller asked for it (`X-Amz-Log-Type: Tail`). */
export const TAIL_BYTES = 4096;

export class LogTail {
  #lines: string[] | undefined;
  #bytes = 0;

  start(wanted: boolean): void {
    this.#lines = wanted ? [] : undefined;
    this.#bytes = 0;
  }

  add(line: string): void {
    if (this.#lines === undefined) return;
    this.#lines.push(line);
    this.#bytes += line.length + 1;
    while (this.#bytes - (this.#lines[0]?.length ?? 0) > TAIL_BYTES)
      this.#bytes -= (this.#lines.shift()?.length ?? 0) + 1;
  }

  /** The lines so far, or `undefined` when nobody asked. */
  end(): string | undefined {
    const lines = this.#lines;
    this.#lines = undefined;
    return lines?.map((line) => `${line}\n`).join("");
  }
}
