/** What a sandbox's processes have to say, on its way to the function's log: filtered, limited, and its end remembered. */
import type { Booted } from "./drivers/driver.ts";
import { droppedLines } from "./lines.ts";
import { LogAllowance } from "./log-allowance.ts";
import { isKept } from "./log-format.ts";
import { LogTail } from "./log-tail.ts";
import type { SandboxInput } from "./machine.ts";
import { lines, MAX_LINE } from "./output-lines.ts";
import type { LogLevel } from "./runtime-init.ts";
import type { Tap } from "./tap.ts";
import type { SandboxWorld } from "./world.ts";

/** Output that may be on its way at a time: who writes faster waits, as for a pipe that is full. */
const LOG_WINDOW_BYTES = 1024 * 1024;
/** What a line takes beside its text, so that empty ones count too. */
const LINE_BYTES = 128;

export class FunctionLog {
  readonly #world: SandboxWorld;
  readonly #sandbox: SandboxInput;
  readonly #tap: () => Tap | undefined;
  readonly #allowance = new LogAllowance();
  #loggedBytes = 0;
  readonly tail = new LogTail();

  /** `tap` is where the lines come from. */
  constructor(world: SandboxWorld, sandbox: SandboxInput, tap: () => Tap | undefined) {
    this.#world = world;
    this.#sandbox = sandbox;
    this.#tap = tap;
  }

  /** What a process writes itself. Gives the last line it has written as an error. */
  follow({ stdout, stderr }: Pick<Booted, "stdout" | "stderr">): () => string {
    let last = "";
    lines(stdout, (line) => this.add(line, "NONE"));
    lines(stderr, (line) => {
      last = line;
      this.add(line, "NONE");
    });
    return () => last;
  }

  /** One message; a very long one becomes several. */
  add(text: string, level: LogLevel): void {
    for (let at = 0; at === 0 || at < text.length; at += MAX_LINE) this.#addOne(text.slice(at, at + MAX_LINE), level);
  }

  /** Beside what is let through, and at the end of an invocation. */
  tellMissing(): void {
    const missing = this.#allowance.missing();
    if (missing === undefined) return;
    for (const line of droppedLines(this.#sandbox, missing, Date.now())) this.#world.log(this.#sandbox, line);
  }

  #addOne(text: string, level: LogLevel): void {
    if (!isKept(this.#sandbox.spec, text, level)) return;
    this.tail.add(text);
    if (!this.#allowance.admits(text.length, this.#world.us())) return;
    this.tellMissing();
    this.#world.log(this.#sandbox, text);
    this.#loggedBytes += text.length + LINE_BYTES;
    if (this.#loggedBytes > LOG_WINDOW_BYTES) void this.#wait();
  }

  /** Reads nothing from the process until what it wrote has left: a flood costs the function time, not the worker memory. */
  async #wait(): Promise<void> {
    this.#loggedBytes = Number.NEGATIVE_INFINITY;
    const sent = this.#world.sent().catch(() => {});
    await (this.#tap()?.hold(sent) ?? sent);
    this.#loggedBytes = 0;
  }
}
