/** The `mayfly` command: each verb is a file in commands/. */
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { config } from "./commands/config.ts";
import { deploy } from "./commands/deploy.ts";
import { doctor } from "./commands/doctor.ts";
import { env } from "./commands/env.ts";
import { invoke } from "./commands/invoke.ts";
import { logs } from "./commands/logs.ts";
import { ls } from "./commands/ls.ts";
import { rm } from "./commands/rm.ts";
import { runtime } from "./commands/runtime.ts";
import { show } from "./commands/show.ts";
import { EXIT, exitCodeOf, failureText } from "./failure.ts";

const EXAMPLES = `
Examples:
  mayfly deploy examples/hello            a folder with a handler, or a zip
  mayfly invoke hello '{"name":"Ada"}'    the answer on stdout, its receipt on stderr
  mayfly logs hello -f

Exit codes: 0 done, 1 the function failed, 2 wrong usage, 3 refused (by name), 4 not running.
Environment: MAYFLY_HOME, MAYFLY_NATS_URL (a server elsewhere; credentials may be in the URL).`;

export function cli(): Command {
  const program = new Command("mayfly")
    .description("AWS Lambda's architecture, self-hosted, on NATS")
    .version(version())
    .addHelpText("after", EXAMPLES)
    .showHelpAfterError("(mayfly --help tells more)")
    .exitOverride();
  for (const verb of [deploy, invoke, logs, ls, show, config, rm, runtime, env, doctor]) verb(program);
  return program;
}

/** Runs one command line; the exit code is left in `process.exitCode`, so that what was printed is flushed. */
export async function main(argv: readonly string[]): Promise<void> {
  // Whoever reads us may have read enough: `mayfly logs hello | head`.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    process.exit(error.code === "EPIPE" ? EXIT.done : EXIT.failed);
  });
  try {
    await cli().parseAsync(argv);
  } catch (error) {
    process.exitCode = exitCodeOf(error);
    // Commander has told its own already.
    if (!(error instanceof CommanderError)) process.stderr.write(`${failureText(error, argv.includes("--json"))}\n`);
  }
}

function version(): string {
  // One level up in a checkout, two from dist/bin.
  for (const place of ["../package.json", "../../package.json"]) {
    try {
      const { version } = JSON.parse(readFileSync(new URL(place, import.meta.url), "utf8")) as { version?: string };
      if (version !== undefined) return version;
    } catch {}
  }
  return "unknown";
}

if (import.meta.main) await main(process.argv);
