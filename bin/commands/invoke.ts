/** `mayfly invoke <function> [payload]`: the answer on stdout, what it cost on stderr. */
import { readFile } from "node:fs/promises";
import { buffer } from "node:stream/consumers";
import type { Command } from "commander";
import { enqueueEvent } from "../async-invocation.ts";
import { EXIT, Misused } from "../failure.ts";
import { invokeFunction } from "../invocation.ts";
import { parsedOr } from "../payload.ts";
import { harmless, remark, say, sayJson } from "../print.ts";
import { receiptText } from "../receipt.ts";
import { openSession } from "../session.ts";
import { streamFunction } from "../streamed-invocation.ts";

interface Flags {
  readonly qualifier?: string;
  readonly log?: true;
  readonly quiet?: true;
  readonly json?: true;
  readonly async?: true;
  readonly stream?: true;
}

const HELP = `
The payload is JSON: given as it is, as @file, or - for stdin. Without one the function gets an empty event.
With --async it is run later, at least once: errors are retried as \`mayfly config set\` says, and an event that is given up
is kept: \`mayfly async show <function>\`, \`mayfly dead ls <function>\`.
With --stream the answer is printed as the function produces it, and may be longer than 6 MB; an error is then on stderr.
Exit codes: 0 it answered, 1 it failed (its error is on stdout), 2 wrong usage, 3 the platform refused, 4 not running.`;

export const invoke = (program: Command): void =>
  void program
    .command("invoke")
    .argument("<function>", "its name, or name:qualifier")
    .argument("[payload]", "JSON, @file, or - for stdin")
    .description("call a function and print its answer")
    .option("--qualifier <version|alias>", "default: $LATEST")
    .option("-l, --log", "also show what the call wrote to its log (last 4 KiB)")
    .option("-q, --quiet", "no receipt on stderr")
    .option("--async", "only put the event into the function's queue, and print its request id")
    .option("--stream", "print the answer as it is produced")
    .option("--json", "answer and receipt as one JSON object")
    .addHelpText("after", HELP)
    .action(invokeAction);

async function invokeAction(target: string, given: string | undefined, flags: Flags): Promise<void> {
  const [fn = "", named] = target.split(":");
  if (flags.stream && (flags.async || flags.json)) {
    throw new Misused(
      `--stream prints the answer as it comes: --${flags.async ? "async" : "json"} can't be meant with it`,
    );
  }
  const sent = await readPayload(given);
  await using session = await openSession();
  if (flags.async) {
    const event = { fn, qualifier: flags.qualifier ?? named, payload: sent };
    const requestId = await enqueueEvent(session, event);
    if (flags.json) sayJson({ requestId });
    else say(requestId);
    return;
  }
  const call = { fn, qualifier: flags.qualifier ?? named, payload: sent, tail: flags.log === true };
  const { payload, receipt } = flags.stream
    ? await streamFunction(session, call, written)
    : await invokeFunction(session, call);
  if (flags.stream && payload.length > 0) remark(new TextDecoder().decode(payload));
  if (flags.json) {
    sayJson({ payload: parsedOr(new TextDecoder().decode(payload)), ...receipt });
  } else {
    if (!flags.stream) await written(payload);
    if (!flags.stream && process.stdout.isTTY && payload.at(-1) !== NEWLINE) process.stdout.write("\n");
    if (receipt.log !== undefined) remark(receipt.log.trimEnd());
    if (!flags.quiet) remark(receiptText(receipt));
  }
  if (receipt.functionError !== undefined) process.exitCode = EXIT.failed;
}

const asText = new TextDecoder();

/** A file gets the function's own bytes. */
function written(piece: Uint8Array): Promise<void> {
  const out = process.stdout.isTTY ? harmless(asText.decode(piece, { stream: true })) : piece;
  return new Promise((resolve, reject) => process.stdout.write(out, (error) => (error ? reject(error) : resolve())));
}

const NEWLINE = 10;

async function readPayload(given: string | undefined): Promise<Uint8Array> {
  if (given === undefined) return new Uint8Array();
  if (given === "-") return buffer(process.stdin);
  if (!given.startsWith("@")) return Buffer.from(given);
  return readFile(given.slice(1)).catch((cause: unknown) => {
    throw new Misused(`${given.slice(1)} can't be read: ${cause instanceof Error ? cause.message : cause}`, { cause });
  });
}
