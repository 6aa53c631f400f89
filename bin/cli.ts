/** The `mayfly` command: each verb is a file in commands/, loaded when it is asked for. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Command, CommanderError } from "commander";
import { EXIT, exitCodeOf, failureText } from "./failure.ts";
import { packageRoot } from "./package-root.ts";
import { remark } from "./print.ts";

type Verb = (program: Command) => void;

/** In the order of the help. */
const VERBS: Readonly<Record<string, () => Promise<Verb>>> = {
  up: async () => (await import("./commands/up.ts")).up,
  down: async () => (await import("./commands/down.ts")).down,
  deploy: async () => (await import("./commands/deploy.ts")).deploy,
  invoke: async () => (await import("./commands/invoke.ts")).invoke,
  async: async () => (await import("./commands/async.ts")).asyncEvents,
  dead: async () => (await import("./commands/dead.ts")).dead,
  layer: async () => (await import("./commands/layer.ts")).layer,
  trigger: async () => (await import("./commands/trigger.ts")).trigger,
  logs: async () => (await import("./commands/logs.ts")).logs,
  ls: async () => (await import("./commands/ls.ts")).ls,
  show: async () => (await import("./commands/show.ts")).show,
  config: async () => (await import("./commands/config.ts")).config,
  rm: async () => (await import("./commands/rm.ts")).rm,
  runtime: async () => (await import("./commands/runtime.ts")).runtime,
  env: async () => (await import("./commands/env.ts")).env,
  doctor: async () => (await import("./commands/doctor.ts")).doctor,
  run: async () => (await import("./commands/run.ts")).run,
};

const EXAMPLES = `
Examples:
  mayfly deploy examples/hello            a folder with a handler, or a zip
  mayfly invoke hello '{"name":"Ada"}'    the answer on stdout, its receipt on stderr
  mayfly logs hello -f

Exit codes: 0 done, 1 the function failed, 2 wrong usage, 3 refused (by name), 4 not running.
Environment: MAYFLY_HOME, MAYFLY_NATS_URL (a server elsewhere; credentials may be in the URL).`;

/** Runs one command line; the exit code is left in `process.exitCode`, so that what was printed is flushed. */
export async function main(argv: readonly string[]): Promise<void> {
  // Whoever reads us may have read enough: `mayfly logs hello | head`.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    process.exit(error.code === "EPIPE" ? EXIT.done : EXIT.failed);
  });
  try {
    await (await programFor(argv)).parseAsync(argv);
  } catch (error) {
    process.exitCode = exitCodeOf(error);
    // Commander has told its own already.
    if (!(error instanceof CommanderError)) remark(failureText(error, argv.includes("--json")));
  }
}

/** With the verb that the line begins with; with all of them where it begins otherwise, as for the help. */
async function programFor([, , first = ""]: readonly string[]): Promise<Command> {
  const { version } = JSON.parse(readFileSync(join(packageRoot, "package.json"), "utf8")) as { version: string };
  const program = new Command("mayfly")
    .description("AWS Lambda's architecture, self-hosted, on NATS")
    .version(version)
    .addHelpText("after", EXAMPLES)
    .showHelpAfterError("(mayfly --help tells more)")
    .exitOverride();
  const only = Object.hasOwn(VERBS, first) ? VERBS[first] : undefined;
  for (const load of only === undefined ? Object.values(VERBS) : [only]) (await load())(program);
  return program;
}
