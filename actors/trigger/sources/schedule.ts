/**
 * Schedules. The server keeps them where it can, and its ticks wait in a stream for whichever trigger is there. What it has
 * no words for, and all on an older server, is kept by each trigger's own timers: the same tick has the same id for all of
 * them, so that it is one event; ticks are missed while no trigger runs.
 */
import { Cron } from "croner";
import { Enqueue, EnqueueQualified } from "../../../subjects/async.ts";
import * as H from "../../../subjects/headers.ts";
import { type MappingRecord, type MappingSource, NOTHING_PROCESSED } from "../../../subjects/mapping.ts";
import { Schedule, Tick } from "../../../subjects/schedule.ts";
import { SCHEDULES_STREAM } from "../../../subjects/streams.ts";
import { qualifierToToken } from "../../../subjects/tokens.ts";
import { deterministicId } from "../../bus/identity.ts";
import type { SourceMessage, SourcePlan } from "../../bus/sources.ts";
import { scheduledEvent } from "../event.ts";
import { type Expression, expressionOf } from "../expression.ts";
import { processed } from "../record.ts";
import type { Surroundings, Work } from "../surroundings.ts";

type ScheduleSource = Extract<MappingSource, { kind: "schedule" }>;

/** As old as an event may get. Source: Lambda API reference, MaximumEventAgeInSeconds. */
const STALE_MS = 6 * 60 * 60 * 1000;
const MINUTE_MS = 60_000;
const TICKS_AT_ONCE = 10;
const TRY_AGAIN_MS = 1000;

export async function prepareSchedule(
  mapping: MappingRecord,
  { expression, timeZone }: ScheduleSource,
  world: Surroundings,
): Promise<void> {
  const parsed = expressionOf(expression);
  const isServers = keptByServer(parsed, world);
  if (isServers) await world.sources.prepare(planOf(mapping, world.ackWaitMs));
  if (mapping.enabled && isOver(parsed, timeZone) && mapping.lastProcessingResult === NOTHING_PROCESSED)
    await processed(mapping, "PROBLEM: its time has passed", world);
  const when = mapping.enabled && isServers ? serverWords(parsed, timeZone) : undefined;
  if (when === undefined) return unschedule(mapping, world);
  const { acct, uuid } = mapping;
  await world.sources.schedule({
    stream: SCHEDULES_STREAM,
    subject: Schedule.subject({ acct, uuid }),
    target: Tick.subject({ acct, uuid }),
    ...when,
  });
}

export const unschedule = ({ acct, uuid }: MappingRecord, { sources }: Surroundings): Promise<void> =>
  sources.unschedule(SCHEDULES_STREAM, Schedule.subject({ acct, uuid }));

export async function removeSchedule(mapping: MappingRecord, world: Surroundings): Promise<void> {
  const { acct, uuid } = mapping;
  await unschedule(mapping, world);
  await world.sources.forget(SCHEDULES_STREAM, planOf(mapping, world.ackWaitMs).name);
  await world.sources.unschedule(SCHEDULES_STREAM, Tick.subject({ acct, uuid }));
}

const keptByServer = (expression: Expression | undefined, { hasCronSchedules }: Surroundings): boolean =>
  hasCronSchedules && expression !== undefined && (expression.kind !== "cron" || expression.server !== undefined);

const isOver = (expression: Expression | undefined, timeZone: string): boolean =>
  expression?.kind === "at" && serverWords(expression, timeZone) === undefined;

/** `undefined` when its time is over. */
function serverWords(
  expression: Expression | undefined,
  timeZone: string,
): { when: string; timeZone?: string } | undefined {
  if (expression?.kind === "rate") return { when: `@every ${expression.minutes}m` };
  if (expression?.kind === "cron" && expression.server !== undefined) return { when: expression.server, timeZone };
  if (expression?.kind !== "at") return undefined;
  const at = new Cron(expression.local, { timezone: timeZone, paused: true }).nextRun();
  return at === null ? undefined : { when: `@at ${at.toISOString()}` };
}

function planOf({ acct, uuid, fn }: MappingRecord, ackWaitMs: number): SourcePlan {
  return {
    stream: SCHEDULES_STREAM,
    subject: Tick.subject({ acct, uuid }),
    name: `mapping-${uuid}`,
    description: `schedule of function ${fn}`,
    start: "oldest",
    atMost: TICKS_AT_ONCE,
    ackWaitMs,
  };
}

export async function workOnSchedule(
  mapping: MappingRecord,
  { expression, timeZone }: ScheduleSource,
  world: Surroundings,
  lost: (why: string) => void,
): Promise<Work> {
  const { sources, component, ackWaitMs } = world;
  const parsed = expressionOf(expression);
  if (parsed === undefined) throw new Error(`${expression} is no schedule`);
  if (keptByServer(parsed, world)) return sources.take(planOf(mapping, ackWaitMs), ticked, lost);

  function ticked(message: SourceMessage): void {
    if (component.clock.now() - message.storedAt > STALE_MS) return message.done();
    fire(mapping, String(message.sequence), message.storedAt, world).then(
      () => message.done(),
      () => message.giveBack(TRY_AGAIN_MS),
    );
  }
  const fired = (at: number) => {
    const second = Math.floor(at / 1000);
    void fire(mapping, String(second), second * 1000, world).catch(() => {});
  };
  if (parsed.kind === "rate") return everySoOften(parsed.minutes * MINUTE_MS, fired);
  const pattern = parsed.kind === "cron" ? parsed.croner : parsed.local;
  const timer = new Cron(pattern, { timezone: timeZone, unref: true }, (self: Cron) =>
    fired((self.currentRun() ?? new Date()).getTime()),
  );
  return { stop: async () => timer.stop() };
}

/** Counted from the epoch, so that all triggers tick at the same instants. */
function everySoOften(periodMs: number, tick: (at: number) => void): Work {
  let timer: NodeJS.Timeout | undefined;
  const wait = (next: number) => {
    // A timer can't wait for more than 24 days.
    timer = setTimeout(
      () => {
        if (Date.now() < next) return wait(next);
        tick(next);
        wait(next + periodMs);
      },
      Math.min(next - Date.now(), 2 ** 31 - 1),
    );
  };
  wait((Math.floor(Date.now() / periodMs) + 1) * periodMs);
  return { stop: async () => clearTimeout(timer) };
}

/** One event for each tick, whoever brings it and however often. */
async function fire(mapping: MappingRecord, tick: string, at: number, world: Surroundings): Promise<void> {
  const { acct, fn, qualifier, uuid } = mapping;
  const id = deterministicId(`${uuid}-${tick}`);
  try {
    await world.queues.store(
      {
        subject:
          qualifier === undefined
            ? Enqueue.subject({ acct, fn })
            : EnqueueQualified.subject({ acct, fn, qualifier: qualifierToToken(qualifier) }),
        payload: JSON.stringify(scheduledEvent(mapping, { id, region: world.region, at })),
        headers: { [H.REQUEST_ID]: id },
      },
      { id: `${uuid}-${tick}` },
    );
    void processed(mapping, "OK", world);
  } catch (error) {
    void processed(mapping, `PROBLEM: ${error instanceof Error ? error.message : String(error)}`, world);
    throw error;
  }
}
