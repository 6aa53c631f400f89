/** `mayfly async`: the queues of asynchronous events: what is in them, taking something out, and making one rest. */
import type { Command } from "commander";
import { z } from "zod";
import { Refused } from "../../subjects/errors.ts";
import { Configuration, callApi, listAll } from "../api.ts";
import { firstOf, instantText } from "../collect.ts";
import { cancel } from "../dead-letters.ts";
import { count } from "../durations.ts";
import { Misused } from "../failure.ts";
import { parsedOr } from "../payload.ts";
import { bytesText, fields, remark, say, sayJson, table } from "../print.ts";
import { backlogs, eventsOf, type QueuedEvent } from "../queued-events.ts";
import { openSession, type Session } from "../session.ts";
import { openShelf, type Shelf } from "../stored.ts";

interface Flags {
  readonly json?: true;
}

const LIMIT = 50;
/** Requests at the same time. */
const ASKED_AT_ONCE = 16;

const Queue = z.object({ MaximumConcurrency: z.number().optional(), Paused: z.boolean() });
type Queue = z.infer<typeof Queue>;

const CANCEL_HELP = `
What is cancelled is not lost: it is kept as a dead letter with the reason Cancelled, and \`mayfly dead redrive\` brings it back.
An event that is being run right now is finished all the same, and tried again if it fails.`;

export const asyncEvents = (program: Command): void => {
  const group = program.command("async").description("see, cancel, pause and resume asynchronous events");
  group
    .command("ls")
    .alias("list")
    .description("functions with events that wait, with dead letters, or whose queue is paused")
    .option("--json", "as JSON")
    .action(list);
  group
    .command("show")
    .argument("<function>")
    .argument("[id]", "a request id: everything about this event, with its payload")
    .description("the events of a function that have not come to an end")
    .option("--limit <n>", "so many at most", count, LIMIT)
    .option("--json", "as JSON")
    .action(show);
  group
    .command("cancel")
    .argument("<function>")
    .argument("[ids...]", "request ids, as `mayfly async show` tells them")
    .description("take events out of the queue")
    .option("--all", "every event of the function")
    .option("--json", "what was cancelled, as JSON")
    .addHelpText("after", CANCEL_HELP)
    .action(cancelAction);
  for (const [verb, Paused, description] of [
    ["pause", true, "accept and keep events of a function, but start none"],
    ["resume", false, "start events of a paused function again"],
  ] as const)
    group
      .command(verb)
      .argument("<function>")
      .description(description)
      .option("--json", "the queue's settings, as JSON")
      .action(async (FunctionName: string, { json }: Flags) => {
        await using session = await openSession();
        const queue = await callApi(session, "PutFunctionQueueConfig", { FunctionName, Paused });
        if (json) sayJson(queue);
        else say(`${FunctionName} is ${Paused ? "paused" : "resumed"}`);
      });
};

async function list({ json }: Flags): Promise<void> {
  await using session = await openSession();
  const waiting = await backlogs(await openShelf(session.connection));
  const functions = await listAll(session, "ListFunctions", {}, "Functions", Configuration);
  const names = [...new Set([...functions.map((each) => each.FunctionName ?? ""), ...waiting.keys()])].sort();
  const queues = await queuesOf(session, names);
  const rows = names
    .map((name) => ({
      FunctionName: name,
      ...(waiting.get(name) ?? { queued: 0, waiting: 0, dead: 0 }),
      ...(queues.get(name) ?? { Paused: false }),
    }))
    .filter((each) => each.Paused || each.queued + each.waiting + each.dead > 0);
  if (json) return sayJson(rows);
  if (rows.length === 0) return remark("nothing waits");
  const cells = rows.map((each) => [
    each.FunctionName,
    String(each.queued),
    String(each.waiting),
    String(each.dead),
    each.MaximumConcurrency === undefined ? "default" : String(each.MaximumConcurrency),
    each.Paused ? "paused" : queues.has(each.FunctionName) ? "" : "no such function",
  ]);
  say(table(["FUNCTION", "QUEUED", "WAITING", "DEAD", "AT ONCE", ""], cells));
}

/** Functions that don't exist, though something of theirs is left, have none. */
async function queuesOf(session: Session, names: readonly string[]): Promise<ReadonlyMap<string, Queue>> {
  const found = new Map<string, Queue>();
  const ask = async (FunctionName: string) => {
    try {
      found.set(FunctionName, Queue.parse(await callApi(session, "GetFunctionQueueConfig", { FunctionName })));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
    }
  };
  for (let at = 0; at < names.length; at += ASKED_AT_ONCE)
    await Promise.all(names.slice(at, at + ASKED_AT_ONCE).map(ask));
  return found;
}

async function show(fn: string, id: string | undefined, { json, limit }: Flags & { limit: number }): Promise<void> {
  await using session = await openSession();
  const shelf = await openShelf(session.connection);
  if (id !== undefined) return showOne(await find(shelf, fn, id), json);
  const { items, isMore } = await firstOf(eventsOf(shelf, fn), limit);
  if (json) return sayJson(items.map(told));
  if (items.length === 0) return remark("nothing waits");
  const rows = items.map((each) => [
    each.id,
    each.state,
    String(each.attempt),
    instantText(each.acceptedAt),
    each.dueAt === undefined ? "" : instantText(each.dueAt),
    each.qualifier ?? "",
    bytesText(each.stored.data.length),
  ]);
  say(table(["REQUEST", "STATE", "ATTEMPT", "ACCEPTED (UTC)", "DUE (UTC)", "VERSION", "SIZE"], rows));
  if (isMore) remark(`there are more: --limit ${limit * 10}`);
}

async function find(shelf: Shelf, fn: string, id: string): Promise<QueuedEvent> {
  for await (const event of eventsOf(shelf, fn)) if (event.id === id) return event;
  throw new Refused("ResourceNotFoundException", `no event ${id} of ${fn} is waiting; it may have come to its end`);
}

const told = ({ stored: _stored, ...event }: QueuedEvent): object => event;

function showOne(event: QueuedEvent, json: true | undefined): void {
  const payload = event.stored.string();
  if (json) return sayJson({ ...told(event), payload: parsedOr(payload) });
  say(
    fields([
      ["request", event.id],
      ["state", event.state],
      ["attempt", String(event.attempt)],
      ["accepted", instantText(event.acceptedAt)],
      ["due", event.dueAt === undefined ? undefined : instantText(event.dueAt)],
      ["version", event.qualifier],
      ["place", `${event.place.stream}, number ${event.place.sequence}`],
    ]),
  );
  say(`\n${payload}`);
}

async function cancelAction(fn: string, ids: string[], { all, json }: Flags & { all?: true }): Promise<void> {
  if (ids.length === 0 && !all) throw new Misused("say which: request ids, or --all");
  // Only the platform may take something out of a queue.
  await using session = await openSession("platform");
  const shelf = await openShelf(session.connection);
  const cancelled: string[] = [];
  for await (const event of eventsOf(shelf, fn)) {
    if (!all && !ids.includes(event.id)) continue;
    if (!(await cancel(session, shelf, fn, event))) continue;
    cancelled.push(event.id);
    if (!json) say(`${event.id} is cancelled`);
  }
  if (json) sayJson({ cancelled });
  const missing = ids.filter((id) => !cancelled.includes(id));
  if (missing.length > 0)
    throw new Refused("ResourceNotFoundException", `not waiting, it may have come to its end: ${missing.join(", ")}`);
}
