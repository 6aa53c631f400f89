/**
 * Runs one batch to its end: tries, waits, splits and gives up as policy.ts says, one group of its records at a time. Each
 * record is acknowledged once the function has run it or its failure has been delivered, and not before.
 */
import type { Logger } from "pino";
import { FunctionRecord, functionKey } from "../../subjects/function.ts";
import type { MappingRecord } from "../../subjects/mapping.ts";
import { ask, outcomeOf } from "./asking.ts";
import type { Held } from "./batches.ts";
import { deliverFailure, failureRecord } from "./failures.ts";
import { aged, backoffMs, type Failed, type Group, type Outcome, verdictOn } from "./policy.ts";
import { processed } from "./record.ts";
import type { Surroundings } from "./surroundings.ts";
import { type Attempts, triesOf } from "./tries.ts";

export interface BatchHands {
  /** Aborted when no other try is to be made: what waits for one is given back. */
  readonly stopping: AbortSignal;
  done(records: readonly Held[]): void;
  giveBack(records: readonly Held[]): void;
}

interface Waiting extends Group<Held> {
  /** The same for every try of the same records. */
  readonly requestId: string;
  /** Epoch ms. */
  readonly dueAt: number;
}

/** Never rejects. */
export async function runBatch(
  mapping: MappingRecord,
  records: readonly Held[],
  world: Surroundings,
  hands: BatchHands,
): Promise<void> {
  const { ids, component, backoff } = world;
  const { clock, log } = component;
  const waiting = (group: Group<Held>, requestId = ids()): Waiting => {
    const { minMs, maxMs } = backoff;
    return { ...group, requestId, dueAt: clock.now() + backoffMs(group, minMs, maxMs) };
  };
  const tries = mapping.maxRetryAttempts < 0 ? undefined : triesOf(mapping, world.leases);
  // In order, what a consumer that begins again delivers looks like new.
  const isKnown = mapping.inOrder || records.some(({ message }) => message.deliveries > 1);
  const before = isKnown ? await tries?.read().catch(toldIn(log, mapping)) : undefined;
  const noted = new Set(before?.keys());
  /** Of those that fail, and no longer of those that don't. */
  const note = async (groups: ReadonlyArray<Group<Held>>, over: readonly Held[]) => {
    const changes = new Map<number, number>(
      over.map(({ message }) => [message.sequence, 0] as const).filter(([each]) => noted.has(each)),
    );
    for (const { attempts, records: tried } of groups)
      if (attempts > 0) for (const { message } of tried) changes.set(message.sequence, attempts);
    if (changes.size === 0) return;
    for (const sequence of changes.keys()) noted.add(sequence);
    await tries?.note(changes).catch(toldIn(log, mapping));
  };
  let line: readonly Waiting[] = asTried(records, before).map((group) => waiting(group));
  let last: Outcome | undefined;
  for (;;) {
    const next = nextOf(line, mapping.inOrder);
    if (next === undefined) return;
    await passed(next.dueAt - clock.now(), hands.stopping);
    if (hands.stopping.aborted) return hands.giveBack(line.flatMap((each) => each.records));
    const [old, young] = aged(next, mapping.maxRecordAgeSeconds, clock.now());
    const others = line.filter((each) => each !== next);
    try {
      if (old.records.length > 0) {
        await giveUp(mapping, { group: old, condition: "RecordAgeExceeded" }, last, next.requestId, world);
        hands.done(old.records);
        await note([], old.records);
      }
    } catch (error) {
      // Where the failure is told can't be reached: nothing is acknowledged, and it is told again.
      log.warn({ err: error, mapping: mapping.uuid }, "a failure could not be delivered");
      line = [waiting({ ...next, setbacks: next.setbacks + 1 }, next.requestId), ...others];
      continue;
    }
    if (young.records.length === 0) {
      line = others;
      continue;
    }
    const group = { ...young, requestId: old.records.length > 0 ? ids() : next.requestId };
    last = await tryOnce(mapping, group, world);
    void processed(mapping, resultOf(last), world);
    const verdict = verdictOn<Held>(group, last, mapping);
    hands.done(verdict.done);
    await note(verdict.again, verdict.done);
    const again = verdict.again.map((each) =>
      waiting(each, each.records.length === group.records.length ? group.requestId : ids()),
    );
    const undelivered: Waiting[] = [];
    for (const failed of verdict.failed) {
      try {
        await giveUp(mapping, failed, last, group.requestId, world);
        hands.done(failed.group.records);
        await note([], failed.group.records);
      } catch (error) {
        log.warn({ err: error, mapping: mapping.uuid }, "a failure could not be delivered; the records are run again");
        undelivered.push(waiting({ ...failed.group, setbacks: group.setbacks + 1 }, group.requestId));
      }
    }
    line = mapping.inOrder ? [...undelivered, ...again, ...others] : [...others, ...undelivered, ...again];
  }
}

/** Those side by side that were tried as often, together. */
function asTried(records: readonly Held[], attempts: Attempts = new Map()): ReadonlyArray<Group<Held>> {
  const groups: Array<{ records: Held[]; attempts: number; setbacks: number }> = [];
  for (const record of records) {
    const tried = attempts.get(record.message.sequence) ?? 0;
    const last = groups.at(-1);
    if (last?.attempts === tried) last.records.push(record);
    else groups.push({ records: [record], attempts: tried, setbacks: 0 });
  }
  return groups;
}

const toldIn =
  (log: Logger, { uuid }: MappingRecord) =>
  (error: unknown): undefined => {
    log.warn({ err: error, mapping: uuid }, "attempts are not kept: after a crash they would be made again");
  };

/** In order the first of the line; else whichever may be tried first. */
const nextOf = (line: readonly Waiting[], inOrder: boolean): Waiting | undefined =>
  inOrder
    ? line[0]
    : line.reduce<Waiting | undefined>((a, b) => (a === undefined || b.dueAt < a.dueAt ? b : a), undefined);

async function tryOnce(
  mapping: MappingRecord,
  group: Waiting | (Group<Held> & { requestId: string }),
  world: Surroundings,
): Promise<Outcome> {
  const { component, overheadMs } = world;
  try {
    const answer = await ask(component.network, mapping, {
      requestId: group.requestId,
      attempt: group.attempts + 1,
      payload: `{"Records":[${group.records.map(({ json }) => json).join(",")}]}`,
      timeoutMs: (await timeoutOf(mapping, world)) + overheadMs,
    });
    return outcomeOf(answer, mapping.reportsItemFailures, new Set(group.records.map(({ id }) => id)));
  } catch (error) {
    return { kind: "setback", why: error instanceof Error ? error.message : String(error) };
  }
}

/** Source: Lambda quotas, "Function timeout". */
const MAX_TIMEOUT_MS = 900_000;

/** The function's own timeout, as its record says; the longest there is where it doesn't. */
export async function timeoutOf({ acct, fn, qualifier }: MappingRecord, { functions }: Surroundings): Promise<number> {
  if (qualifier !== undefined) return MAX_TIMEOUT_MS;
  const record = FunctionRecord.safeParse((await functions.get(functionKey(acct, fn)))?.value);
  return record.success ? record.data.configuration.Timeout * 1000 : MAX_TIMEOUT_MS;
}

const giveUp = (
  mapping: MappingRecord,
  failed: Failed<Held>,
  outcome: Outcome | undefined,
  requestId: string,
  { queues, component, region }: Surroundings,
): Promise<void> =>
  deliverFailure(
    mapping.onFailure,
    failureRecord(mapping, { failed, outcome, requestId, region, at: component.clock.now() }),
    `failure-${requestId}`,
    { queues, publish: (said) => component.network.deliver(said) },
  );

/** As the owner reads it in the mapping. */
function resultOf(outcome: Outcome): string {
  if (outcome.kind === "ok") return outcome.failedItems.length === 0 ? "OK" : "PROBLEM: Some records failed.";
  return outcome.kind === "setback" ? `PROBLEM: ${outcome.why}` : "PROBLEM: Function call failed";
}

/** Resolves when the time is over, or it no longer matters. */
export function passed(ms: number, signal: AbortSignal): Promise<void> {
  if (ms <= 0 || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const over = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", over);
      resolve();
    };
    const timer = setTimeout(over, ms);
    signal.addEventListener("abort", over);
  });
}
