/** `mayfly doctor`: whether this host can run Mayfly, point by point, and what to do about what is missing. */
import type { Command } from "commander";
import { examineHost } from "../../actors/sandbox/drivers/doctor.ts";
import { listRuntimes } from "../../actors/sandbox/runtimes/catalogue.ts";
import { readConfig } from "../../config/config.ts";
import { findBubblewrap } from "../embedded/find-bubblewrap.ts";
import { externalServer, findNatsServer } from "../embedded/find-nats-server.ts";
import { type Home, prepareHome, resolveHome } from "../embedded/home.ts";
import { EXIT } from "../failure.ts";
import { bad, dim, good, say, sayJson } from "../print.ts";
import { openSession } from "../session.ts";

interface Check {
  readonly name: string;
  readonly ok: boolean;
  /** Without it Mayfly doesn't work here; otherwise it works with less. */
  readonly needed: boolean;
  readonly detail: string;
  /** Empty when there is nothing to do. */
  readonly remedy: string;
}

/** Of the host's checks, those without which no sandbox can be made. */
const NEEDED_OF_HOST: ReadonlySet<string> = new Set(["sandbox"]);
const NODE_MAJOR = 24;

export const doctor = (program: Command): void =>
  void program
    .command("doctor")
    .description("check what this host offers, and say what to do about what is missing")
    .option("--json", "as JSON")
    .addHelpText("after", "\nExit code 1 when something is missing that Mayfly can't do without.")
    .action(async ({ json }: { json?: true }) => {
      const checks = await examine(resolveHome());
      if (json) sayJson(checks);
      else for (const check of checks) say(lineOf(check));
      if (checks.some(({ ok, needed }) => needed && !ok)) process.exitCode = EXIT.failed;
    });

async function examine(home: Home): Promise<Check[]> {
  const bwrap = await attempt(() => findBubblewrap({ tools: home.tools, mayFetch: false }));
  const config = await attempt(async () => readConfig(process.env));
  const { sandbox, mode, egress } =
    config instanceof Error ? ({ sandbox: "auto", mode: "development", egress: {} } as const) : config;
  const options = { production: mode === "production", egress };
  const host = await examineHost(bwrap instanceof Error ? options : { ...options, bwrapPath: bwrap.path }, sandbox);
  return [
    nodeCheck(),
    config instanceof Error
      ? failed("configuration", true, config)
      : passed("configuration", true, `MAYFLY_SANDBOX=${sandbox}, ${mode}`),
    await homeCheck(home),
    await natsCheck(home),
    ...host.map((check) => ({ ...check, needed: NEEDED_OF_HOST.has(check.name) })),
    ...(await runtimeChecks(home)),
    await runningCheck(),
  ];
}

function nodeCheck(): Check {
  const ok = Number.parseInt(process.versions.node, 10) >= NODE_MAJOR;
  const remedy = ok ? "" : `Use Node.js ${NODE_MAJOR}, or install Mayfly's optional dependencies.`;
  return { name: "Node.js", ok, needed: true, detail: process.versions.node, remedy };
}

async function homeCheck(home: Home): Promise<Check> {
  const prepared = await attempt(() => prepareHome(home));
  return prepared instanceof Error ? failed("home", true, prepared) : passed("home", true, home.root);
}

/** A server that isn't here yet is fetched at the first start, so its absence is only worth knowing. */
async function natsCheck(home: Home): Promise<Check> {
  const name = "nats-server";
  const named = externalServer();
  if (named !== undefined) return passed(name, true, "one that runs already is named by MAYFLY_NATS_URL");
  const found = await attempt(() => findNatsServer({ tools: home.tools, mayFetch: false }));
  if (found instanceof Error) {
    const remedy =
      "Nothing to do: the first `mayfly up` fetches it. Without a network, install nats-server 2.12 or newer.";
    return { name, ok: false, needed: false, detail: "not here yet", remedy };
  }
  const { version, path, off } = found;
  if (off.length === 0) return passed(name, true, `${version} at ${path}`);
  return {
    name,
    ok: false,
    needed: false,
    detail: `${version}; off: ${off.join("; ")}`,
    remedy: "Install a newer one.",
  };
}

/** One line for all that are here, and one for the rest: nobody needs all of them. */
async function runtimeChecks(home: Home): Promise<Check[]> {
  const runtimes = await listRuntimes({ home: home.root });
  const here = runtimes.filter(({ version }) => version !== null).map(({ runtime }) => runtime);
  const remedy = here.length === 0 ? "Install Mayfly again: not even its own Node.js is here." : "";
  return [
    {
      name: "runtimes",
      ok: here.length > 0,
      needed: true,
      detail: `${here.join(", ")}; more: mayfly runtime ls`,
      remedy,
    },
  ];
}

async function runningCheck(): Promise<Check> {
  const session = await attempt(() => openSession());
  if (session instanceof Error) return passed("running", false, `no: ${session.message}`);
  await session[Symbol.asyncDispose]();
  return passed("running", false, `yes, at ${session.local?.url ?? "MAYFLY_NATS_URL"}`);
}

function lineOf({ name, ok, needed, detail, remedy }: Check): string {
  const mark = ok ? good("✓") : needed ? bad("✗") : "!";
  return `${mark} ${name.padEnd(18)} ${detail}${ok || remedy === "" ? "" : `\n  ${" ".repeat(18)} ${dim(`→ ${remedy}`)}`}`;
}

const passed = (name: string, needed: boolean, detail: string): Check => ({
  name,
  ok: true,
  needed,
  detail,
  remedy: "",
});

function failed(name: string, needed: boolean, error: Error): Check {
  const remedy = "remedy" in error && typeof error.remedy === "string" ? error.remedy : "";
  return { name, ok: false, needed, detail: error.message, remedy };
}

async function attempt<T>(step: () => Promise<T>): Promise<T | Error> {
  try {
    return await step();
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
