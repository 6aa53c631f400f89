/** `mayfly config set <function> key=value…`: changes a function's configuration, and waits until it is applied. */
import type { Command } from "commander";
import { Refused } from "../../subjects/errors.ts";
import { Configuration, callApi, findFunction } from "../api.ts";
import { type Change, changesOf, SETTINGS } from "../config-changes.ts";
import { differs } from "../package/plan.ts";
import { say, sayJson } from "../print.ts";
import { openSession, type Session } from "../session.ts";
import { settled } from "../settled.ts";

const WAIT_MS = 60_000;
/** How often somebody else may change the function between our reading and writing it. */
const ATTEMPTS = 5;

export const config = (program: Command): void => {
  const group = program.command("config").description("change a function's configuration");
  const verb = (name: "set" | "unset", argument: string, description: string) =>
    group
      .command(name)
      .argument("<function>")
      .argument(argument, `${SETTINGS.join(", ")}, env.NAME`)
      .description(description)
      .option("--json", "the new configuration as JSON")
      .action(async (fn: string, words: string[], { json }: { json?: true }) => {
        const change = changesOf(words, name);
        await using session = await openSession();
        const now = await applyChange(session, fn, change);
        if (json) sayJson(now);
        else say(`${fn}: ${words.join(" ")}${name === "unset" ? " removed" : ""}`);
      });
  verb("set", "<key=value...>", "such as: mayfly config set hello memory=256 timeout=10 env.GREETING=Hi reserved=5");
  verb("unset", "<keys...>", "back to the default, such as: mayfly config unset hello env.GREETING reserved");
};

/** Written with the revision it was read at, so that nobody else's variables are lost. */
async function applyChange(session: Session, fn: string, change: Change): Promise<Configuration> {
  let now = await current(session, fn);
  if (change.settings !== undefined || change.variables !== undefined) {
    for (let attempt = 1; ; attempt++) {
      try {
        now = await update(session, now, change);
        break;
      } catch (error) {
        const isStale = error instanceof Refused && error.refusal.name === "PreconditionFailedException";
        if (!isStale || attempt === ATTEMPTS) throw error;
        now = await current(session, fn);
      }
    }
  }
  if (change.reserved === null) await callApi(session, "DeleteFunctionConcurrency", { FunctionName: fn });
  else if (change.reserved !== undefined) {
    const body = { FunctionName: fn, ReservedConcurrentExecutions: change.reserved };
    await callApi(session, "PutFunctionConcurrency", body);
  }
  return now;
}

async function update(session: Session, now: Configuration, { settings, variables }: Change): Promise<Configuration> {
  const { FunctionName, RevisionId, Environment } = now;
  const merged = Object.entries({ ...Environment?.Variables, ...variables }).filter(([, value]) => value !== null);
  const wanted = {
    ...settings,
    ...(variables === undefined ? {} : { Environment: { Variables: Object.fromEntries(merged) } }),
  };
  // A change of nothing would still end every warm sandbox.
  if (!differs(now, wanted)) return now;
  const body = { FunctionName, RevisionId, ...wanted };
  return settled(session, Configuration.parse(await callApi(session, "UpdateFunctionConfiguration", body)), WAIT_MS);
}

async function current(session: Session, fn: string): Promise<Configuration> {
  const found = await findFunction(session, fn);
  if (found === undefined) throw new Refused("ResourceNotFoundException", `Function not found: ${fn}`);
  return settled(session, found, WAIT_MS);
}
