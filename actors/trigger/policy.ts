/** What a mapping decides: what it may listen to, what a batch's answer means, and which records are run again. */
import { type MappingRecord, type MappingSource, sourceArn, sourceNamed } from "../../subjects/mapping.ts";
import { isOwnFilter } from "../../subjects/places.ts";

/** What an owner may wish of a mapping; the rest of its record says how far it is. */
const PROGRESS: ReadonlySet<string> = new Set(["stateReason", "lastProcessingResult", "modifiedAt"]);

/** Whether two readings of a record ask the same of whoever makes it so. */
export function isSameWish(a: MappingRecord, b: MappingRecord): boolean {
  const wish = (record: MappingRecord) =>
    JSON.stringify(
      Object.entries(record)
        .filter(([name]) => !PROGRESS.has(name))
        .sort(([one], [other]) => (one < other ? -1 : 1)),
    );
  return wish(a) === wish(b);
}

/** Why nobody may have this source; `undefined` for a tenant's own. The control plane refused it already, or should have. */
export function refusedSource(source: MappingSource): string | undefined {
  const isOwn = sourceNamed(sourceArn(source)) !== undefined;
  return isOwn ? undefined : `a ${source.kind} of the platform is no event source`;
}

/**
 * Whether one process at a time must work on it. How many records are taken is limited for all of them together, how many
 * batches only where each is one record.
 */
export const needsTurns = ({ inOrder, maxConcurrency, batchSize }: MappingRecord): boolean =>
  inOrder || (maxConcurrency !== undefined && batchSize > 1);

/** Whether a requester may be answered there: whoever names a subject of the platform wants us to speak in its name. */
export function mayAnswer(replyTo: string): boolean {
  const [first = ""] = replyTo.split(".");
  return first === "_INBOX" || first === "_R_" || isOwnFilter(replyTo);
}

/** What the front end said to one try. `code` is that of a refusal; without an answer there is none. */
export type Outcome =
  | { readonly kind: "ok"; readonly failedItems: readonly string[] | "all" }
  | { readonly kind: "error"; readonly statusCode: number; readonly functionError?: string; readonly version?: string }
  | { readonly kind: "setback"; readonly why: string };

/** Refusals that say something of the event itself: another try may only meet the same. */
const OF_THE_EVENT: ReadonlySet<number> = new Set([400, 413]);

export function outcomeOfRefusal(code: number, why: string): Outcome {
  return OF_THE_EVENT.has(code) ? { kind: "error", statusCode: code, functionError: why } : { kind: "setback", why };
}

/**
 * The items a function reports as failed. What is no report at all means that none failed; a report that names an unknown
 * item, or none, or can't be read means all. Source: Lambda developer guide, "Reporting batch item failures".
 */
export function failedItemsIn(answer: string, known: ReadonlySet<string>): readonly string[] | "all" {
  let parsed: unknown;
  try {
    parsed = answer === "" ? null : JSON.parse(answer);
  } catch {
    return "all";
  }
  if (typeof parsed !== "object" || parsed === null || !("batchItemFailures" in parsed)) return [];
  const { batchItemFailures: failures } = parsed;
  if (failures === null) return [];
  if (!Array.isArray(failures)) return "all";
  const named = failures.map((each: unknown) =>
    typeof each === "object" && each !== null && "itemIdentifier" in each ? each.itemIdentifier : undefined,
  );
  return named.every((each) => typeof each === "string" && known.has(each)) ? (named as string[]) : "all";
}

/** Records that are tried together. `attempts` and `setbacks` are those so far. */
export interface Group<R> {
  readonly records: readonly R[];
  readonly attempts: number;
  readonly setbacks: number;
}

export interface Item {
  readonly id: string;
  /** Epoch ms. */
  readonly storedAt: number;
}

export interface Failed<R> {
  readonly group: Group<R>;
  readonly condition: "RetryAttemptsExhausted" | "RecordAgeExceeded";
}

/** What becomes of a group's records after a try. Each of them is in exactly one of the three. */
export interface Verdict<R> {
  readonly done: readonly R[];
  /** In the order in which they are to be run; each waits for `backoffMs` of itself. */
  readonly again: ReadonlyArray<Group<R>>;
  readonly failed: ReadonlyArray<Failed<R>>;
}

type Settings = Pick<MappingRecord, "maxRetryAttempts" | "bisects" | "inOrder">;

export function verdictOn<R extends Item>(group: Group<R>, outcome: Outcome, settings: Settings): Verdict<R> {
  const { records, attempts, setbacks } = group;
  if (outcome.kind === "setback")
    return { done: [], again: [{ records, attempts, setbacks: setbacks + 1 }], failed: [] };
  if (outcome.kind === "ok" && outcome.failedItems !== "all") {
    const failed = new Set(outcome.failedItems);
    const first = records.findIndex(({ id }) => failed.has(id));
    if (first === -1) return { done: records, again: [], failed: [] };
    // In order nothing may overtake the first that failed: what follows it is run again behind it.
    const isDone = (record: R, at: number) => (settings.inOrder ? at < first : !failed.has(record.id));
    const left = records.filter((record, at) => !isDone(record, at));
    return {
      ...tried({ records: left, attempts, setbacks: 0 }, settings, left.length < records.length),
      done: records.filter(isDone),
    };
  }
  return tried({ records, attempts, setbacks: 0 }, settings, false);
}

/** A split costs no attempt; what is left when part of a batch is done has been split from it already. */
function tried<R>(group: Group<R>, { maxRetryAttempts, bisects }: Settings, isPart: boolean): Verdict<R> {
  const { records, attempts } = group;
  if (bisects && records.length > 1 && !isPart) {
    const half = Math.ceil(records.length / 2);
    const halves = [records.slice(0, half), records.slice(half)];
    return { done: [], again: halves.map((each) => ({ ...group, records: each })), failed: [] };
  }
  const next = { ...group, attempts: attempts + 1 };
  const isExhausted = maxRetryAttempts >= 0 && attempts >= maxRetryAttempts;
  return isExhausted
    ? { done: [], again: [], failed: [{ group: next, condition: "RetryAttemptsExhausted" }] }
    : { done: [], again: [next], failed: [] };
}

/** Those of a group that are too old to be run, apart from those that aren't. `maxAgeSeconds` -1: none is. */
export function aged<R extends Item>(group: Group<R>, maxAgeSeconds: number, now: number): [Group<R>, Group<R>] {
  const isOld = ({ storedAt }: R) => maxAgeSeconds >= 0 && now - storedAt > maxAgeSeconds * 1000;
  return [
    { ...group, records: group.records.filter(isOld) },
    { ...group, records: group.records.filter((each) => !isOld(each)) },
  ];
}

/** How long a group waits before it is tried: not at all at first, then doubling up to a maximum. */
export function backoffMs(
  { attempts, setbacks }: Pick<Group<unknown>, "attempts" | "setbacks">,
  minMs: number,
  maxMs: number,
): number {
  const before = attempts + setbacks;
  return before === 0 ? 0 : Math.min(maxMs, minMs * 2 ** Math.min(before - 1, 20));
}
