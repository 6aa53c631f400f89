/** `mayfly env`: where everything is, for scripts: `eval "$(mayfly env)"`. */
import type { Command } from "commander";
import { resolveHome } from "../embedded/home.ts";
import { EXIT, NotRunning } from "../failure.ts";
import { remark, say, sayJson } from "../print.ts";
import { type Address, findAddress } from "../session.ts";

const HELP = `
NATS_URL holds the password: it is what the nats CLI and the NATS clients read.
Exit code 4 when Mayfly isn't running; the folder is told all the same.`;

export const env = (program: Command): void =>
  void program
    .command("env")
    .description("print the NATS URL and the data folder, for scripts")
    .option("--json", "as JSON")
    .addHelpText("after", HELP)
    .action(async ({ json }: { json?: true }) => {
      const home = resolveHome();
      const address = await findAddress(home).catch((error: unknown) => {
        if (error instanceof NotRunning) return undefined;
        throw error;
      });
      const natsUrl = address === undefined ? undefined : withCredentials(address);
      if (json) {
        const { pid, startedAt, zones } = address?.local ?? {};
        sayJson({ home: home.root, natsUrl, data: home.jetstream, logs: home.logs, pid, startedAt, zones });
      } else {
        say(`export MAYFLY_HOME=${quoted(home.root)}`);
        if (natsUrl !== undefined) say(`export NATS_URL=${quoted(natsUrl)}`);
      }
      if (address !== undefined) return;
      remark("mayfly: Mayfly isn't running");
      process.exitCode = EXIT.notRunning;
    });

function withCredentials({ url, user, password }: Address): string {
  if (user === undefined) return url;
  const secret = password === undefined ? "" : `:${encodeURIComponent(password)}`;
  return url.replace("://", `://${encodeURIComponent(user)}${secret}@`);
}

/** For a POSIX shell. */
const quoted = (text: string): string => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
