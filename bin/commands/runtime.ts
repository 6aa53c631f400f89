/** `mayfly runtime`: which runtimes functions may use on this host, fetching the ones it lacks, adding one's own. */
import { stat } from "node:fs/promises";
import type { Command } from "commander";
import { addPython, addRuntime, removeRuntime } from "../../actors/sandbox/runtimes/added.ts";
import { listRuntimes } from "../../actors/sandbox/runtimes/catalogue.ts";
import { installRuntime } from "../../actors/sandbox/runtimes/install.ts";
import { resolveHome } from "../embedded/home.ts";
import { Misused } from "../failure.ts";
import { good, Progress, say, sayJson, table } from "../print.ts";

const HELP = `
A runtime of your own is a folder with runtime.json, {"name": "ruby3.4", "version": "3.4.1", "lang": "/opt/ruby"}, and an
executable bootstrap that speaks Lambda's Runtime API: actors/sandbox/runtimes/README.md.

Examples:
  mayfly runtime install nodejs22.x
  mayfly runtime install ./ruby3.4                            a folder of your own: name it with a slash
  mayfly runtime install python3.13 --prefix /opt/python3.13`;

export const runtime = (program: Command): void => {
  const group = program
    .command("runtime")
    .alias("runtimes")
    .description("list, fetch, add and remove the runtimes of this host");
  group
    .command("ls")
    .alias("list")
    .description("every runtime that Mayfly knows or that was added, and whether it is here")
    .option("--json", "as JSON")
    .action(async ({ json }: { json?: true }) => {
      const runtimes = await listRuntimes({ home: resolveHome().root });
      if (json) return sayJson(runtimes);
      const rows = runtimes.map((each) => [each.runtime, each.version ?? "-", each.remedy ?? ""]);
      say(table(["RUNTIME", "VERSION", "HOW TO GET IT"], rows));
    });
  group
    .command("install")
    .argument("<runtimes...>", "such as nodejs22.x, or the folder of one of your own")
    .description("fetch Node.js runtimes from npm, or add a folder with runtime.json and bootstrap")
    .option("--prefix <folder>", "of a Python: where it is installed on this host")
    .option("--json", "as JSON")
    .addHelpText("after", HELP)
    .action(async (names: string[], { prefix, json }: { prefix?: string; json?: true }) => {
      const { root } = resolveHome();
      const progress = new Progress();
      const installed: Array<{ runtime: string; version: string }> = [];
      try {
        for (const name of names) {
          const added = prefix !== undefined ? await addPython(name, prefix, root) : await addedFrom(name, root);
          if (added === undefined) progress.step(`fetching ${name}…`);
          const onProgress = (line: string) => progress.detail(`fetching ${name}: ${line}`);
          const { version } = added?.resolved ?? (await installRuntime(name, { home: root, onProgress }));
          installed.push({ runtime: added?.runtime ?? name, version });
        }
      } finally {
        progress.end();
      }
      if (json) return sayJson(installed);
      for (const { runtime, version } of installed) say(`${good("✓")} ${runtime} ${version}`);
    });
  group
    .command("rm")
    .argument("<runtimes...>")
    .description("remove runtimes that were fetched or added; running sandboxes of theirs may fail")
    .option("--json", "what was removed, as JSON")
    .action(async (names: string[], { json }: { json?: true }) => {
      for (const name of names) {
        await removeRuntime(name, resolveHome().root);
        if (!json) say(`${name} is removed`);
      }
      if (json) sayJson({ removed: names });
    });
};

/** Of a folder; a name that is none is fetched. A runtime's name has no slash and is nobody's folder by accident. */
async function addedFrom(name: string, home: string) {
  const isPath = name.includes("/") || name === ".";
  const isFolder = isPath && (await stat(name).catch(() => undefined))?.isDirectory();
  if (isPath && !isFolder) throw new Misused(`${name} is no folder`);
  return isFolder ? addRuntime(name, home) : undefined;
}
