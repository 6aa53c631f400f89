/** `mayfly run`: one process with the named components, against a NATS server that runs already. */
import { setTimeout } from "node:timers/promises";
import type { Command } from "commander";
import { readConfig } from "../../config/config.ts";
import { serviceSubjects } from "../../subjects/service.ts";
import { credentialsOf } from "../embedded/credentials.ts";
import { type Home, prepareHome, resolveHome } from "../embedded/home.ts";
import { Misused, NotRunning } from "../failure.ts";
import { COMPONENTS, type ComponentName, SINGLE } from "../run/components.ts";
import { type NatsLogin, openProcess, type Process, type Started } from "../run/context.ts";
import { beginWithOwnMounts } from "../run/own-mounts.ts";
import { readRunning } from "../running.ts";

const PING_MS = 300;
const STOP_MS = 3000;

export function run(program: Command): void {
  program
    .command("run")
    .description("run components in this process, in the foreground")
    .argument("<component...>", Object.keys(COMPONENTS).join(", "))
    .option("--zone <zone...>", "the zone of a worker; with several, a worker in each of them", ["a"])
    .addHelpText(
      "after",
      "\nThe NATS server is MAYFLY_NATS_URL (with MAYFLY_NATS_USER, MAYFLY_NATS_PASSWORD), or the one of `mayfly up`.",
    )
    .action(async (names: string[], { zone: zones }: { zone: string[] }) => {
      const unknown = names.filter((name) => !(name in COMPONENTS));
      if (unknown.length > 0) throw new Misused(`no such component: ${unknown.join(", ")}`);
      if (names.includes("worker")) await beginWithOwnMounts();
      await runComponents(names as ComponentName[], zones);
    });
}

async function runComponents(names: readonly ComponentName[], zones: readonly string[]): Promise<void> {
  const home = await prepareHome(resolveHome());
  const opened = await openProcess(names.join(" "), await login(home), readConfig(process.env), home);
  const isSupervised = process.env.MAYFLY_SUPERVISED !== undefined;
  const running = new Map<Started, ComponentName>();
  const stopped = Promise.withResolvers<string>();
  let isStopping = false;
  const start = async (name: ComponentName, zone: string): Promise<void> => {
    const started = await COMPONENTS[name](opened, { zone });
    running.set(started, name);
    started.ended
      ?.then(async (how) => {
        if (isStopping) return;
        opened.log.info({ component: name, zone, how }, "ended");
        running.delete(started);
        await started.stop();
        // As whoever supervises us would do it, but for those who live here too.
        if (isSupervised) await start(name, zone);
        else if (running.size === 0) stopped.resolve(`${name} ended: ${how}`);
      })
      .catch(stopped.reject);
  };
  try {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => stopped.resolve(signal));
    if (isSupervised) process.stdin.resume().once("end", () => stopped.resolve("the supervisor ended"));
    // The client gives up for good where its credential is no longer good: nothing can be heard any more.
    void opened.connection.closed().then(() => stopped.resolve("the connection to NATS is closed"));
    for (const name of names) {
      if (SINGLE.has(name)) await refuseSecond(opened, name);
      await Promise.all((name === "worker" ? zones : [""]).map((zone) => start(name, zone)));
    }
    opened.log.info({ components: names }, "running");
    await stopped.promise;
  } finally {
    isStopping = true;
    // Without a server nobody answers, and each question would be waited for.
    await within(STOP_MS, stopAll(running, opened));
    // Timers and pipes of what has stopped would keep the process; the exit code is set by then.
    setImmediate(() => process.exit());
  }
}

/** Workers take their time, all at once; who asks goes before who is asked. */
async function stopAll(running: ReadonlyMap<Started, ComponentName>, { connection }: Process): Promise<void> {
  const [workers, others] = [[...running].filter(isWorker), [...running].filter((each) => !isWorker(each))];
  await Promise.all(workers.map(([worker]) => worker.stop()));
  for (const [each] of others.toReversed()) await each.stop();
  await connection.close();
}

const isWorker = ([, name]: readonly [Started, ComponentName]): boolean => name === "worker";

/** What was promised, or nothing when it takes longer. */
async function within(ms: number, promised: Promise<void>): Promise<void> {
  const deadline = new AbortController();
  await Promise.race([promised, setTimeout(ms, undefined, { signal: deadline.signal })]);
  deadline.abort();
}

/** As `up` tells its children; by hand, the server of this home's running Mayfly. */
async function login(home: Home): Promise<NatsLogin> {
  const { MAYFLY_NATS_URL: url, MAYFLY_NATS_USER: user, MAYFLY_NATS_PASSWORD: password } = process.env;
  if (url !== undefined)
    return { url, ...(user === undefined ? {} : { user }), ...(password === undefined ? {} : { password }) };
  const running = await readRunning(home);
  if (running === undefined) throw new NotRunning("there is no NATS server to run on: MAYFLY_NATS_URL isn't set");
  return { url: running.url, ...(await credentialsOf(home)).platform };
}

/** What these know is in their memory: a second one would count, place and grant beside the first. */
async function refuseSecond({ network }: Process, name: ComponentName): Promise<void> {
  const [, subject = ""] = serviceSubjects("PING", `mayfly-${name}`, "any");
  const other = await network.request({ subject, payload: "" }, PING_MS).catch(() => undefined);
  if (other !== undefined) throw new Error(`another ${name} serves already on this NATS server; only one may`);
}
