/** `mayfly trigger`: what calls functions by itself: subjects, streams, buckets, object stores and schedules. */
import type { Command } from "commander";
import { sourceNamed } from "../../subjects/mapping.ts";
import { Configuration, callApi } from "../api.ts";
import { instantText } from "../collect.ts";
import { placeText, SOURCE_WORDS, sourceFrom } from "../event-places.ts";
import { Misused } from "../failure.ts";
import { listMappings, Mapping, uuidOf, wished } from "../mappings.ts";
import { fields, remark, say, sayJson, table } from "../print.ts";
import { openSession, type Session } from "../session.ts";
import { settingsFrom, startOption, type TriggerFlags, withSettings } from "../trigger-settings.ts";

interface Flags extends TriggerFlags {
  readonly wait: boolean;
  readonly json?: true;
}
interface Adding extends Flags {
  readonly from?: Record<string, unknown>;
  readonly reply?: true;
  readonly timeZone?: string;
  readonly disabled?: true;
}

const ADD_HELP = `
Examples:
  mayfly trigger add audit subject:orders.created           each message heard, queued
  mayfly trigger add price 'subject:price.*' --reply        the function answers whoever asks
  mayfly trigger add bill stream:ORDERS --from start --batch 10 --in-order
  mayfly trigger add index bucket:PRICES                    each change of a key
  mayfly trigger add report "cron(0 9 ? * MON-FRI *)" --time-zone Europe/Paris
  mayfly trigger add sweep "rate(5 minutes)"                also "at(2030-01-31T12:00:00)", once

A cron expression is EventBridge's: minutes hours day-of-month month day-of-week year; one of the two days is ?.
A filter looks into body and subject of messages (body: their JSON), into key, operation and value of a bucket's changes:
  --filter '{"body":{"state":["paid"]}}'`;

export const trigger = (program: Command): void => {
  const group = program.command("trigger").alias("triggers").description("let events call functions");
  const shared = (command: Command) =>
    command.option("--no-wait", "don't wait until it is so").option("--json", "as JSON, in the Lambda API's words");
  const of = (name: string) => group.command(name).argument("<id>", "a trigger's id, or how it begins");

  shared(
    withSettings(
      group.command("add").argument("<function>", "its name, or name:qualifier").argument("<source>", SOURCE_WORDS),
    ),
  )
    .description("let a source call a function")
    .addOption(startOption())
    .option("--reply", "of a subject: the function's answer goes to whoever asks")
    .option("--time-zone <zone>", "of a schedule, such as Europe/Paris; default: UTC")
    .option("--disabled", "not yet")
    .addHelpText("after", ADD_HELP)
    .action(add);
  group
    .command("ls")
    .alias("list")
    .argument("[function]")
    .description("all triggers, or a function's")
    .option("--json", "as JSON, in the Lambda API's words")
    .action(list);
  of("show").description("everything about a trigger").option("--json", "as JSON").action(show);
  shared(of("rm")).description("delete a trigger").action(rm);
  for (const [verb, Enabled] of [
    ["enable", true],
    ["disable", false],
  ] as const)
    shared(of(verb))
      .description(Enabled ? "let it call again, from where it stopped" : "let it rest")
      .action((id: string, flags: Flags) => change(id, () => ({ Enabled }), flags));
  shared(withSettings(of("update")))
    .description("change settings; the others stay. --filter none takes the filters away")
    .option("--function <function>", "another function to call")
    .action((id: string, flags: Flags & { function?: string }) =>
      change(
        id,
        (functionArn) => ({
          ...settingsFrom(flags, functionArn),
          ...(flags.function === undefined ? {} : { FunctionName: flags.function }),
        }),
        flags,
      ),
    );
};

async function add(target: string, source: string, flags: Adding): Promise<void> {
  const EventSourceArn = sourceFrom(source);
  if (flags.from === undefined && sourceNamed(EventSourceArn)?.kind === "stream")
    throw new Misused("say where in the stream it begins: --from start, --from latest, or --from a time");
  await using session = await openSession();
  const { FunctionArn = "" } = Configuration.parse(
    await callApi(session, "GetFunctionConfiguration", { FunctionName: target }),
  );
  const body = {
    FunctionName: target,
    EventSourceArn,
    ...settingsFrom(flags, FunctionArn),
    ...flags.from,
    ...(flags.reply ? { Reply: true } : {}),
    ...(flags.timeZone === undefined ? {} : { TimeZone: flags.timeZone }),
    ...(flags.disabled ? { Enabled: false } : {}),
  };
  await tell(session, "CreateEventSourceMapping", body, flags);
}

async function change(id: string, wish: (functionArn: string) => object, flags: Flags): Promise<void> {
  await using session = await openSession();
  const UUID = await uuidOf(session, id);
  const { FunctionArn } = Mapping.parse(await callApi(session, "GetEventSourceMapping", { UUID }));
  const body = wish(FunctionArn);
  if (Object.keys(body).length === 0) throw new Misused("say what to change");
  await tell(session, "UpdateEventSourceMapping", { UUID, ...body }, flags);
}

async function rm(id: string, flags: Flags): Promise<void> {
  await using session = await openSession();
  await tell(session, "DeleteEventSourceMapping", { UUID: await uuidOf(session, id) }, flags);
}

async function tell(session: Session, operation: string, body: object, { wait, json }: Flags): Promise<void> {
  const mapping = await wished(session, operation, body, { wait });
  if (json) return sayJson(mapping ?? { ...body, State: "Deleted" });
  if (mapping === undefined) return say("the trigger is deleted");
  const { UUID, State, StateTransitionReason, LastProcessingResult } = mapping;
  say(`${UUID}  ${placeText(mapping.EventSourceArn)} → ${targetText(mapping)}: ${State}`);
  if (!wait) return;
  const problem = LastProcessingResult.startsWith("PROBLEM") ? LastProcessingResult : undefined;
  if (!["Enabled", "Disabled"].includes(State))
    remark(`it is not so yet (${problem ?? StateTransitionReason}): mayfly trigger show ${UUID}`);
  // Of one that is older the last records tell nothing about the wish.
  else if (problem !== undefined && operation === "CreateEventSourceMapping") remark(problem);
}

async function list(fn: string | undefined, { json }: { json?: true }): Promise<void> {
  await using session = await openSession();
  const found = await listMappings(session, fn === undefined ? {} : { FunctionName: fn });
  if (json) return sayJson(found);
  if (found.length === 0) return remark("no triggers yet: mayfly trigger add <function> <source>");
  const rows = found.map((each) => [
    each.UUID,
    targetText(each),
    placeText(each.EventSourceArn),
    each.State,
    each.LastProcessingResult,
  ]);
  say(table(["ID", "FUNCTION", "SOURCE", "STATE", "LAST"], rows));
}

async function show(id: string, { json }: { json?: true }): Promise<void> {
  await using session = await openSession();
  const UUID = await uuidOf(session, id);
  const mapping = Mapping.parse(await callApi(session, "GetEventSourceMapping", { UUID }));
  if (json) return sayJson(mapping);
  const { State, StateTransitionReason, LastModified, EventSourceArn, FunctionArn, ...settings } = mapping;
  const { UUID: _id, EventSourceMappingArn: _arn, LastProcessingResult, ...others } = settings;
  say(
    fields([
      ["id", UUID],
      ["function", FunctionArn],
      ["source", placeText(EventSourceArn)],
      ["state", `${State}: ${StateTransitionReason}`],
      ["last", LastProcessingResult],
      ["changed", `${instantText(LastModified * 1000)} UTC`],
      ...Object.entries(others).map(([name, value]) => [name, settingText(value)] as const),
    ]),
  );
}

const settingText = (value: unknown): string => (typeof value === "object" ? JSON.stringify(value) : String(value));

const targetText = ({ FunctionArn }: Mapping): string => FunctionArn.split(":").slice(6).join(":");
