/** `mayfly run`: one process with the named components, against a NATS server that runs already. */
import type { Command } from "commander";
import { serviceSubjects } from "../../subjects/service.ts";
import { ConfigError, readConfig } from "../../config/config.ts";
import { prepareHome, resolveHome } from "../embedded/home.ts";
import { COMPONENTS, type ComponentName, SINGLE, type Started } from "../run/components.ts";
import { type NatsLogin, openProcess, type Process } from "../run/context.ts";
import { readRunFile } from "../run-file.ts";

const USAGE = 2;
const FAILED = 1;
const PING_MS = 300;

export function run(program: Command): void {
  program
    .command("run")
    .description("run components in this process, in the foreground")
    .argument("<component...>", Object.keys(COMPONENTS).join(", "))
    .option("--zone <zone>", "the zone of a worker", "a")
    .addHelpText("after", "\nThe NATS server is MAYFLY_NATS_URL (with MAYFLY_NATS_USER, MAYFLY_NATS_PASSWORD), or the one of `mayfly up`.")
    .action(async (names: string[], { zone }: { zone: string }) => {
      const unknown = names.filter((name) => !(name in COMPONENTS));
      if (unknown.length > 0) return fail(`no such component: ${unknown.join(", ")}`, USAGE);
      try {
        await runComponents(names as ComponentName[], zone);
      } catch (error) {
        const { name, message, remedy } = error as Error & { remedy?: string };
        fail(`${name}: ${message}${remedy === undefined ? "" : `\n${remedy}`}`, error instanceof ConfigError ? USAGE : FAILED);
      }
    });
}

function fail(message: string, code: number): void {
  process.stderr.write(`${message}\n`);
  process.exit(code);
}

async function runComponents(names: readonly ComponentName[], zone: string): Promise<void> {
  const home = await prepareHome(resolveHome());
  const opened = await openProcess(names.join(" "), await login(home), readConfig(process.env), home);
  const running: Started[] = [];
  const stopped = Promise.withResolvers<string>();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => stopped.resolve(signal));
  if (process.env.MAYFLY_SUPERVISED !== undefined) {
    process.stdin.resume().once("end", () => stopped.resolve("the supervisor ended"));
  }
  for (const name of names) {
    if (SINGLE.has(name)) await refuseSecond(opened, name);
    const started = await COMPONENTS[name](opened, { zone });
    started.ended?.then((how) => stopped.resolve(`${name} ended: ${how}`));
    running.push(started);
  }
  opened.log.info({ components: names }, "running");
  await stopped.promise;
  for (const each of running.reverse()) await each.stop();
  await opened.connection.close();
  process.exit(0);
}

async function login(home: Parameters<typeof readRunFile>[0]): Promise<NatsLogin> {
  const { MAYFLY_NATS_URL: url, MAYFLY_NATS_USER: user, MAYFLY_NATS_PASSWORD: password } = process.env;
  if (url !== undefined) return { url, ...(user === undefined ? {} : { user }), ...(password === undefined ? {} : { password }) };
  const known = await readRunFile(home);
  if (known === undefined) throw new Error("no NATS server: set MAYFLY_NATS_URL, or start everything with `mayfly up`");
  const { user: knownUser, password: knownPassword } = known;
  return {
    url: known.url,
    ...(knownUser === undefined ? {} : { user: knownUser }),
    ...(knownPassword === undefined ? {} : { password: knownPassword }),
  };
}

/** What these know is in their memory: a second one would count, place and grant beside the first. */
async function refuseSecond({ network }: Process, name: ComponentName): Promise<void> {
  const [, subject = ""] = serviceSubjects("PING", `mayfly-${name}`, "any");
  const other = await network.request({ subject, payload: "" }, PING_MS).catch(() => undefined);
  if (other !== undefined) throw new Error(`another ${name} serves already on this NATS server; only one may`);
}
