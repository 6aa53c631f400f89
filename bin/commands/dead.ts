/** `mayfly dead`: events that were given up: why, and running them again. */
import type { Command } from "commander";
import { Refused } from "../../subjects/errors.ts";
import { DEAD_STREAM } from "../../subjects/streams.ts";
import { callApi } from "../api.ts";
import { firstOf, instantText } from "../collect.ts";
import { choiceOf, FILTER_WORDS, type Letter, lettersOf, redrive } from "../dead-letters.ts";
import { count } from "../durations.ts";
import { Misused } from "../failure.ts";
import { parsedOr } from "../payload.ts";
import { bytesText, fields, Progress, remark, say, sayJson, table } from "../print.ts";
import { backlogs } from "../queued-events.ts";
import { openSession } from "../session.ts";
import { openShelf } from "../stored.ts";

interface Flags {
  readonly filter?: readonly string[];
  readonly json?: true;
}
interface Deeds extends Flags {
  readonly dryRun?: true;
}

const LIMIT = 50;
const FILTER_HELP = `
Filters: key=value, each must hold. Keys: ${FILTER_WORDS}.
  reason=RetriesExhausted  error=TypeError  message=timeout (a part of it)  qualifier=live  older=2h  newer=10m`;
const REDRIVE_HELP = `${FILTER_HELP}
Each event goes back into its function's queue as if just accepted, under its request id; when it is stored there, its
letter is deleted. None is ever lost. A redrive that was killed half way is simply begun again: an event that was stored
and whose letter was not yet deleted is not stored twice within the queue's duplicate window of two minutes; after that it
may be repeated. Letters that come while it works are left for the next redrive.`;

export const dead = (program: Command): void => {
  const group = program.command("dead").description("see dead letters, and run them again");
  const filtered = (command: Command) =>
    command.option("--filter <key=value>", "only those; may be repeated", (text, before: readonly string[] = []) => [
      ...before,
      text,
    ]);
  filtered(group.command("ls").alias("list").argument("[function]"))
    .description("how many each function has; of one function, all of them")
    .option("--limit <n>", "so many at most", count, LIMIT)
    .option("--json", "as JSON")
    .addHelpText("after", FILTER_HELP)
    .action(list);
  group
    .command("show")
    .argument("<function>")
    .argument("<id>", "its number or request id")
    .description("everything about one, with its payload")
    .option("--json", "as JSON")
    .action(show);
  filtered(group.command("redrive").argument("<function>").argument("[ids...]", "numbers or request ids; default: all"))
    .description("run events again that were given up")
    .option("--dry-run", "only say what would be done")
    .option("--rate <n>", "so many a second at most", count)
    .option("--to-version <version|alias>", "run by this one, instead of the one it was for")
    .option("--json", "as JSON")
    .addHelpText("after", REDRIVE_HELP)
    .action(redriveAction);
  filtered(group.command("purge").argument("<function>").argument("[ids...]", "numbers or request ids"))
    .description("delete dead letters for good")
    .option("--all", "all of the function's")
    .option("--dry-run", "only say what would be done")
    .option("--json", "as JSON")
    .addHelpText("after", FILTER_HELP)
    .action(purge);
};

async function list(fn: string | undefined, { filter = [], json, limit }: Flags & { limit: number }): Promise<void> {
  await using session = await openSession();
  const shelf = await openShelf(session.connection);
  if (fn === undefined) {
    const counts = [...(await backlogs(shelf))].flatMap(([name, { dead: letters }]) =>
      letters === 0 ? [] : [{ FunctionName: name, letters }],
    );
    if (json) return sayJson(counts);
    if (counts.length === 0) return remark("no dead letters");
    return say(
      table(
        ["FUNCTION", "LETTERS"],
        counts.map((each) => [each.FunctionName, String(each.letters)]),
      ),
    );
  }
  const { items, isMore } = await firstOf(lettersOf(shelf, fn, choiceOf([], filter)), limit);
  if (json) return sayJson(items.map(told));
  if (items.length === 0) return remark("no dead letters");
  const rows = items.map((each) => [
    String(each.seq),
    each.requestId ?? "",
    instantText(each.diedAt),
    each.reason ?? "",
    String(each.attempts ?? ""),
    short(each.errorType, each.errorMessage),
  ]);
  say(table(["NUMBER", "REQUEST", "DIED (UTC)", "REASON", "ATTEMPTS", "ERROR"], rows));
  if (isMore) remark(`there are more: --limit ${limit * 10}`);
}

async function show(fn: string, id: string, { json }: { json?: true }): Promise<void> {
  await using session = await openSession();
  const shelf = await openShelf(session.connection);
  const { items } = await firstOf(lettersOf(shelf, fn, choiceOf([id], [])), 1);
  const [letter] = items;
  if (letter === undefined) throw new Refused("ResourceNotFoundException", `${fn} has no dead letter ${id}`);
  const payload = letter.stored.string();
  if (json) return sayJson({ ...told(letter), payload: parsedOr(payload) });
  say(
    fields([
      ["number", String(letter.seq)],
      ["request", letter.requestId],
      ["version", letter.qualifier],
      ["accepted", letter.acceptedAt === undefined ? undefined : instantText(letter.acceptedAt)],
      ["died", instantText(letter.diedAt)],
      ["reason", letter.reason],
      ["attempts", letter.attempts === undefined ? undefined : String(letter.attempts)],
      ["error", letter.errorType],
      ["message", letter.errorMessage],
      ["size", bytesText(letter.bytes)],
    ]),
  );
  say(`\n${payload}`);
}

interface Redriving extends Deeds {
  readonly rate?: number;
  readonly toVersion?: string;
}

async function redriveAction(fn: string, ids: string[], flags: Redriving): Promise<void> {
  const { dryRun, rate, toVersion, json } = flags;
  const isMeant = choiceOf(ids, flags.filter ?? []);
  if (rate === 0) throw new Misused("a rate of 0 never begins");
  // Only the platform may delete a letter.
  await using session = await openSession("platform");
  await callApi(session, "GetFunctionConfiguration", {
    FunctionName: fn,
    ...(toVersion === undefined ? {} : { Qualifier: toVersion }),
  });
  const shelf = await openShelf(session.connection);
  const progress = new Progress();
  const done: Letter[] = [];
  const began = Date.now();
  try {
    for await (const letter of lettersOf(shelf, fn, isMeant)) {
      if (!dryRun) {
        if (rate !== undefined) await until(began + (done.length * 1000) / rate);
        await redrive(session, shelf, fn, letter, toVersion);
        progress.detail(`${done.length + 1} events are back in the queue`);
      }
      done.push(letter);
    }
  } finally {
    progress.end();
    report(done, {
      json,
      verb: dryRun ? "would be redriven" : "redriven",
      field: dryRun ? "wouldRedrive" : "redriven",
    });
  }
  refuseMissing(fn, ids, done, flags);
}

async function purge(fn: string, ids: string[], flags: Deeds & { all?: true }): Promise<void> {
  const isMeant = choiceOf(ids, flags.filter ?? []);
  if (ids.length === 0 && flags.filter === undefined && !flags.all)
    throw new Misused("say which: numbers or request ids, --filter, or --all");
  const { dryRun, json } = flags;
  await using session = await openSession("platform");
  const shelf = await openShelf(session.connection);
  const gone: Letter[] = [];
  for await (const letter of lettersOf(shelf, fn, isMeant)) {
    if (dryRun || (await shelf.remove(DEAD_STREAM, letter.seq))) gone.push(letter);
  }
  report(gone, { json, verb: dryRun ? "would be deleted" : "deleted", field: dryRun ? "wouldDelete" : "deleted" });
  refuseMissing(fn, ids, gone, flags);
}

/** What was named must have been there; beside a filter a name only narrows. */
function refuseMissing(fn: string, names: readonly string[], letters: readonly Letter[], { filter }: Flags): void {
  if (filter !== undefined) return;
  const found = new Set(letters.flatMap(({ seq, requestId = "" }) => [String(seq), requestId]));
  const missing = names.filter((name) => !found.has(name));
  if (missing.length > 0)
    throw new Refused("ResourceNotFoundException", `no dead letters of ${fn}: ${missing.join(", ")}`);
}

function report(
  letters: readonly Letter[],
  { json, verb, field }: { json: true | undefined; verb: string; field: string },
): void {
  if (json) return sayJson({ [field]: letters.map(({ seq, requestId }) => ({ seq, requestId })) });
  say(`${letters.length} ${letters.length === 1 ? "event" : "events"} ${verb}`);
}

const told = ({ stored: _stored, ...letter }: Letter): object => letter;

const MOST_CHARACTERS = 60;

function short(type = "", message = ""): string {
  const text = [type, message.split("\n")[0]].filter((part) => part !== "").join(": ");
  return text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS - 1)}…` : text;
}

const until = (at: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, Math.max(0, at - Date.now())));
