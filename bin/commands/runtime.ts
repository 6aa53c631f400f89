/** `mayfly runtime`: which runtimes functions may use on this host, and fetching the ones it lacks. */
import type { Command } from "commander";
import { listRuntimes } from "../../actors/sandbox/runtimes/catalogue.ts";
import { installRuntime } from "../../actors/sandbox/runtimes/install.ts";
import { resolveHome } from "../embedded/home.ts";
import { good, Progress, say, sayJson, table } from "../print.ts";

export const runtime = (program: Command): void => {
  const group = program.command("runtime").alias("runtimes").description("list and fetch the runtimes of this host");
  group
    .command("ls")
    .alias("list")
    .description("every runtime Mayfly knows, and whether it is here")
    .option("--json", "as JSON")
    .action(async ({ json }: { json?: true }) => {
      const runtimes = await listRuntimes({ home: resolveHome().root });
      if (json) return sayJson(runtimes);
      const rows = runtimes.map((each) => [each.runtime, each.version ?? "-", each.remedy ?? ""]);
      say(table(["RUNTIME", "VERSION", "HOW TO GET IT"], rows));
    });
  group
    .command("install")
    .argument("<runtimes...>", "such as nodejs22.x")
    .description("fetch Node.js runtimes, from npm")
    .option("--json", "as JSON")
    .action(async (names: string[], { json }: { json?: true }) => {
      const progress = new Progress();
      const installed: Array<{ runtime: string; version: string }> = [];
      try {
        for (const name of names) {
          progress.step(`fetching ${name}…`);
          const onProgress = (line: string) => progress.detail(`fetching ${name}: ${line}`);
          const { version } = await installRuntime(name, { home: resolveHome().root, onProgress });
          installed.push({ runtime: name, version });
        }
      } finally {
        progress.end();
      }
      if (json) return sayJson(installed);
      for (const { runtime, version } of installed) say(`${good("✓")} ${runtime} ${version}`);
    });
};
