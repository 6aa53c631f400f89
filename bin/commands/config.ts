/** `mayfly config set <function> key=value…`: changes a function's configuration, and waits until it is applied. */
import type { Command } from "commander";
import { Refused } from "../../subjects/errors.ts";
import { Configuration, callApi, findFunction } from "../api.ts";
import { type Change, changesOf, SETTINGS } from "../config-changes.ts";
import { EGRESS_HELP, putEgress } from "../egress-setting.ts";
import {
  EVENT_KEYS,
  type EventFlags,
  type EventKey,
  setEvents,
  unsetEvents,
  withEventOptions,
} from "../event-settings.ts";
import { Misused } from "../failure.ts";
import { layerArns } from "../layers.ts";
import { differs } from "../package/plan.ts";
import { say, sayJson } from "../print.ts";
import { openSession, type Session } from "../session.ts";
import { settled } from "../settled.ts";

const WAIT_MS = 60_000;
/** How often somebody else may change the function between our reading and writing it. */
const ATTEMPTS = 5;

const EVENTS_HELP = `
layers=deps,tools:3 is all the layers there are, the lowest first: mayfly layer ls.

How asynchronous events are handled can be set for a version or alias too, with name:qualifier; "none" takes a destination
away. The dead letters stay in Mayfly whatever the destinations are: mayfly dead ls.`;

export const config = (program: Command): void => {
  const group = program.command("config").description("change a function's configuration");
  withEventOptions(
    group
      .command("set")
      .argument("<function>")
      .argument("[key=value...]", `${SETTINGS.join(", ")}, env.NAME`)
      .description("such as: mayfly config set hello memory=256 timeout=10 env.GREETING=Hi reserved=5 --retries 1"),
  )
    .option("--json", "the new configuration as JSON")
    .addHelpText("after", `${EVENTS_HELP}\n${EGRESS_HELP}`)
    .action(async (fn: string, words: string[], { json, ...events }: EventFlags & { json?: true }) => {
      const told = Object.entries(events).map(([name, value]) => `${name} ${value}`);
      if (words.length + told.length === 0) throw new Misused("say what to set");
      const change = changesOf(words, "set");
      await using session = await openSession();
      const now = words.length === 0 ? {} : await applyChange(session, fn, change);
      const handling = await setEvents(session, fn, events);
      if (json) sayJson({ ...now, ...handling });
      else say(`${fn}: ${[...words, ...told].join(" ")}`);
    });
  group
    .command("unset")
    .argument("<function>")
    .argument("<keys...>", `${[...SETTINGS, ...EVENT_KEYS].join(", ")}, env.NAME`)
    .description("back to the default, such as: mayfly config unset hello env.GREETING reserved retries")
    .option("--json", "the new configuration as JSON")
    .action(async (fn: string, words: string[], { json }: { json?: true }) => {
      const isOfEvents = (word: string): word is EventKey => EVENT_KEYS.includes(word as EventKey);
      const [events, others] = [words.filter(isOfEvents), words.filter((word) => !isOfEvents(word))];
      const change = changesOf(others, "unset");
      await using session = await openSession();
      const now = others.length === 0 ? {} : await applyChange(session, fn, change);
      const handling = await unsetEvents(session, fn, events);
      if (json) sayJson({ ...now, ...handling });
      else say(`${fn}: ${words.join(" ")} removed`);
    });
};

/** Written with the revision it was read at, so that nobody else's variables are lost. */
async function applyChange(session: Session, fn: string, change: Change): Promise<Configuration> {
  let now = await current(session, fn);
  const { reserved, ...others } = change;
  if (Object.values(others).some((each) => each !== undefined)) {
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
  if (reserved === null) await callApi(session, "DeleteFunctionConcurrency", { FunctionName: fn });
  else if (reserved !== undefined) {
    const body = { FunctionName: fn, ReservedConcurrentExecutions: reserved };
    await callApi(session, "PutFunctionConcurrency", body);
  }
  if (change.egress !== undefined) await putEgress(session, fn, change.egress);
  return now;
}

async function update(session: Session, now: Configuration, change: Change): Promise<Configuration> {
  const { settings, variables, logging, layers } = change;
  const { FunctionName, RevisionId, Environment } = now;
  const merged = Object.entries({ ...Environment?.Variables, ...variables }).filter(([, value]) => value !== null);
  const { LoggingConfig = {} } = now;
  const isLoggedSo = Object.entries(logging ?? {}).every(([name, value]) => Reflect.get(LoggingConfig, name) === value);
  const wanted = {
    ...settings,
    ...(isLoggedSo ? {} : { LoggingConfig: logging }),
    ...(variables === undefined ? {} : { Environment: { Variables: Object.fromEntries(merged) } }),
    ...(layers === undefined ? {} : { Layers: await layerArns(session, layers) }),
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
