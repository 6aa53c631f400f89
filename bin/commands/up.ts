/** `mayfly up`: the whole system on this machine, in the foreground or detached. */
import { spawn } from "node:child_process";
import { openSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { readConfig } from "../../config/config.ts";
import { type Home, prepareHome, resolveHome } from "../embedded/home.ts";
import { NO_ISOLATION } from "../run/isolation.ts";
import { readRunning } from "../running.ts";
import { showFirstLook } from "../up/first-look.ts";
import { mayfly, startSystem } from "../up/system.ts";

const FAILED = 1;

export function up(program: Command): void {
  program
    .command("up")
    .description("bring up the whole system on this machine")
    .option("--detach", "leave it running in the background")
    .option("--no-hello", "don't deploy and invoke the hello example")
    .action(async ({ detach, hello }: { detach?: boolean; hello: boolean }) => {
      const home = await prepareHome(resolveHome());
      if ((await readRunning(home)) !== undefined) throw new AlreadyRunning();
      if (detach) await goDetached(home, hello);
      else await stay(home, hello);
    });
}

class AlreadyRunning extends Error {
  override readonly name = "AlreadyRunning";
  readonly remedy = "end it with `mayfly down`";
  constructor() {
    super("Mayfly is running already in this home");
  }
}

const tell = (line: string): void => void process.stdout.write(`${line}\n`);

async function stay(home: Home, hello: boolean): Promise<void> {
  const leaving = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => leaving.abort());
  const starting = startSystem(readConfig(process.env), { home, tell, leaving: leaving.signal });
  // Also while it comes up.
  leaving.signal.addEventListener("abort", async () => {
    await starting.then((system) => system.stop()).catch(() => {});
    process.exit(0);
  });
  /** What fails while all is going down is no news. */
  const unlessLeaving = <Result>(work: Promise<Result>): Promise<Result> =>
    work.catch((error: unknown) => {
      if (!leaving.signal.aborted) throw error;
      return new Promise(() => {});
    });
  const system = await unlessLeaving(starting);
  tell(`isolation: ${system.isolation}`);
  if (system.isolation.includes(NO_ISOLATION)) {
    tell("  WARNING: every function can read this user's files and reach its network. Deploy only what you trust.");
  }
  if (/\bnone\b|shared uid|no seccomp|not frozen|never booted/.test(system.isolation)) {
    tell("  not all of it can be had here: `npx mayfly doctor` says what is missing and how to get it");
  }
  if (hello) {
    await unlessLeaving(showFirstLook(system.contextSelected, tell)).catch((error: Error) =>
      tell(`the first look failed: ${error.message}`),
    );
  }
  await unlessLeaving(system.sayReady());
  tell("Ctrl-C ends it.");
  const why = await system.serverLost;
  process.stderr.write(`mayfly: ${why}\n`);
  await system.stop();
  process.exit(FAILED);
}

/** Starts itself again without a terminal and waits until that one is ready or has ended. */
async function goDetached(home: Home, hello: boolean): Promise<void> {
  const logFile = join(home.logs, "up.log");
  const log = openSync(logFile, "a", 0o600);
  const [program = "", ...args] = mayfly("up", ...(hello ? [] : ["--no-hello"]));
  const child = spawn(program, args, { detached: true, stdio: ["ignore", log, log] });
  const ended = Promise.withResolvers<number>();
  child.once("exit", (code) => ended.resolve(code ?? FAILED));
  child.unref();
  for (;;) {
    const again = new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 100));
    const code = await Promise.race([ended.promise, again]);
    if (code !== undefined) throw new Error(`it did not come up (exit status ${code}); see ${logFile}`);
    if ((await readRunning(home))?.isReady === true) break;
  }
  tell("Mayfly is up; `mayfly ls` shows what is deployed, `mayfly down` ends it.");
  process.exit(0);
}
