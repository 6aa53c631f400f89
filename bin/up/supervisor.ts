/**
 * Keeps child processes running: one that ends is started again, after a pause that grows while it keeps ending; all of
 * them end with us. A child holds a pipe to us as its standard input and leaves when the pipe closes, so that a killed
 * supervisor leaves nobody behind.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream, type WriteStream } from "node:fs";

export interface ChildPlan {
  readonly name: string;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where its output goes, appended. */
  readonly logFile: string;
}

export interface SupervisorOptions {
  /** Told of every ending that nobody asked for, with the end of what it wrote to standard error. */
  readonly ended: (name: string, how: string, restartMs: number, lastWords: string) => void;
  /** Once aborted, whatever ends has been asked to as well, as by a service manager that signals all: nothing is started any more. */
  readonly leaving?: AbortSignal;
}

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5000;
/** A child that ran for so long is well: its next ending is its first again. */
const WELL_AFTER_MS = 10_000;
const GRACE_MS = 1300;
const LAST_WORDS = 1000;

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #children = new Map<string, ChildProcess>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #logs: WriteStream[] = [];
  #stopped = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  start(plan: ChildPlan): void {
    if (this.#isEnding()) return;
    const log = createWriteStream(plan.logFile, { flags: "a", mode: 0o600 });
    this.#logs.push(log);
    this.#launch(plan, log, FIRST_PAUSE_MS);
  }

  pids(): ReadonlyMap<string, number> {
    return new Map([...this.#children].flatMap(([name, { pid }]) => (pid === undefined ? [] : [[name, pid] as const])));
  }

  /** Asks all to end, ends by force those that have not within 1.3 s. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
    await Promise.all([...this.#children.values()].map(end));
    for (const log of this.#logs) log.end();
  }

  #isEnding(): boolean {
    return this.#stopped || this.#options.leaving?.aborted === true;
  }

  #launch(plan: ChildPlan, log: WriteStream, pauseMs: number): void {
    const [program = "", ...args] = plan.command;
    const startedMs = performance.now();
    const child = spawn(program, args, {
      env: { ...process.env, ...plan.env, MAYFLY_SUPERVISED: "1" },
      stdio: ["pipe", "pipe", "pipe"],
      detached: true,
    });
    this.#children.set(plan.name, child);
    child.stdin.on("error", () => {});
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    let lastWords = "";
    child.stderr.on("data", (chunk: Buffer) => {
      lastWords = (lastWords + chunk.toString("utf8")).slice(-LAST_WORDS);
    });
    const again = (how: string) => {
      if (this.#children.get(plan.name) !== child) return;
      this.#children.delete(plan.name);
      if (this.#isEnding()) return;
      const wasWell = performance.now() - startedMs > WELL_AFTER_MS;
      const pause = wasWell ? FIRST_PAUSE_MS : pauseMs;
      this.#options.ended(plan.name, how, pause, lastWords.trim());
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        if (this.#isEnding()) return;
        this.#launch(plan, log, Math.min(pause * 2, LONGEST_PAUSE_MS));
      }, pause);
      this.#timers.add(timer);
    };
    child.once("error", (error) => again(error.message));
    child.once("close", (code, signal) => again(signal === null ? `exit status ${code}` : signal));
  }
}

function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill("SIGKILL"), GRACE_MS);
    child.once("exit", () => {
      clearTimeout(timer);
      resolve();
    });
    child.kill("SIGTERM");
  });
}
