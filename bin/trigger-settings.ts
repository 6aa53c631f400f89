/** The options of `mayfly trigger add` and `update`, and the Lambda API's fields they stand for. Pure. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { count, seconds } from "./durations.ts";
import { DESTINATION_WORDS, destinationFrom } from "./event-places.ts";
import { Misused } from "./failure.ts";

export interface TriggerFlags {
  readonly batch?: number;
  readonly window?: number;
  readonly filter?: readonly string[];
  readonly retries?: number;
  readonly maxAge?: number;
  readonly bisect?: boolean;
  readonly itemFailures?: boolean;
  readonly onFailure?: string;
  readonly maxConcurrency?: number;
  readonly inOrder?: boolean;
}

/** -1: without end. */
const orForever = (read: (text: string) => number) => (text: string) => (text === "forever" ? -1 : read(text));

/** The options that Create and Update share. */
export const withSettings = (command: Command): Command =>
  command
    .option("--batch <n>", "records of one call at most", count)
    .option("--window <duration>", "how long a batch is waited for, such as 5s", seconds)
    .option("--filter <pattern>", "only records that match this EventBridge pattern; may be repeated", collected)
    .option("--retries <n>", "more attempts of a batch that fails, or forever", orForever(count))
    .option("--max-age <duration>", "records older than this are given up, or forever", orForever(seconds))
    .option("--bisect", "a batch that fails is tried again as two halves")
    .option("--no-bisect", "not so")
    .option("--item-failures", "the function says which records failed (batchItemFailures)")
    .option("--no-item-failures", "not so")
    .option("--on-failure <destination>", `where records go that are given up: ${DESTINATION_WORDS}`)
    .option("--max-concurrency <n>", "calls at the same time at most; 0: no limit of its own", count)
    .option("--in-order", "one batch at a time for each subject")
    .option("--no-in-order", "not so");

export const startOption = (): Option =>
  new Option(
    "--from <start>",
    "of a stream or bucket: start, latest, or a time such as 2026-01-31T12:00:00Z",
  ).argParser(startFrom);

/** Fields of Create- and UpdateEventSourceMapping. `functionArn` is of any function of the account. */
export function settingsFrom(flags: TriggerFlags, functionArn: string): Record<string, unknown> {
  const { filter, onFailure, maxConcurrency, itemFailures } = flags;
  const fields = {
    BatchSize: flags.batch,
    MaximumBatchingWindowInSeconds: flags.window,
    FilterCriteria: filter && { Filters: filter.filter((each) => each !== "none").map((Pattern) => ({ Pattern })) },
    MaximumRetryAttempts: flags.retries,
    MaximumRecordAgeInSeconds: flags.maxAge,
    BisectBatchOnFunctionError: flags.bisect,
    FunctionResponseTypes: itemFailures === undefined ? undefined : itemFailures ? ["ReportBatchItemFailures"] : [],
    DestinationConfig: onFailure === undefined ? undefined : { OnFailure: destination(onFailure, functionArn) },
    ScalingConfig:
      maxConcurrency === undefined ? undefined : maxConcurrency === 0 ? {} : { MaximumConcurrency: maxConcurrency },
    InOrder: flags.inOrder,
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

const destination = (text: string, functionArn: string): object => {
  const Destination = destinationFrom(text, functionArn);
  return Destination === "" ? {} : { Destination };
};

const collected = (text: string, before: readonly string[] = []): readonly string[] => {
  if (text !== "none" && !text.trimStart().startsWith("{"))
    throw new InvalidArgumentError('It must be a pattern such as {"body":{"state":["paid"]}}, or none.');
  return [...before, text];
};

function startFrom(text: string): Record<string, unknown> {
  if (text === "start") return { StartingPosition: "TRIM_HORIZON" };
  if (text === "latest") return { StartingPosition: "LATEST" };
  const at = Date.parse(text);
  if (Number.isNaN(at)) throw new Misused(`--from ${text}: it must be start, latest, or a time`);
  return { StartingPosition: "AT_TIMESTAMP", StartingPositionTimestamp: at / 1000 };
}
