/** What a mapping does in the world: its consumer or schedule, its work, and its record. Each step may be done twice. */
import { fromCallback, fromPromise } from "xstate";
import type { MappingRecord } from "../../subjects/mapping.ts";
import { mappingKey } from "../../subjects/mapping.ts";
import { Conflict } from "../bus/storage.ts";
import { type MappingEvent, mappingMachine, type Prepared } from "./machine.ts";
import { isSameWish, needsTurns, refusedSource } from "./policy.ts";
import { processed, readRecord, settled } from "./record.ts";
import { planOf, workOnKept } from "./sources/kept.ts";
import { prepareSchedule, removeSchedule, unschedule, workOnSchedule } from "./sources/schedule.ts";
import { workOnSubject } from "./sources/subject.ts";
import type { Surroundings, Work } from "./surroundings.ts";
import { triesKey } from "./tries.ts";
import { takeTurns } from "./turn.ts";

/** How long a stopping process waits for what runs; what it leaves then is delivered to others in time. */
const LINGER_MS = 800;

/** The machine with its effects, and a promise of having ended the work that was begun, as far as there is time for it. */
export function mappingLogic(world: Surroundings) {
  const { triggers, component, ackWaitMs } = world;
  const ending = new Set<Promise<unknown>>();
  const until = (promised: Promise<unknown>) => {
    const ended = promised
      .catch((error: unknown) => component.log.error({ err: error }, "a mapping's work did not end well"))
      .finally(() => ending.delete(ended));
    ending.add(ended);
  };

  /** Steps of one mapping, one after the other: one that was overtaken still ends before the next begins. */
  const steps = new Map<string, Promise<unknown>>();
  const inTurn = <T>({ uuid }: MappingRecord, step: () => Promise<T>): Promise<T> => {
    const done = (steps.get(uuid) ?? Promise.resolve()).then(step);
    const ended = done
      .catch(() => {})
      .finally(() => {
        if (steps.get(uuid) === ended) steps.delete(uuid);
      });
    steps.set(uuid, ended);
    return done;
  };
  const prepare = async (mapping: MappingRecord): Promise<Prepared> => {
    const why = refusedSource(mapping.source);
    if (why !== undefined) return { ready: false, why };
    const now = await readRecord(triggers, mapping);
    // Somebody was faster, or its owner wishes something else: what is read next says what is to be done.
    if (now === undefined || !isSameWish(now.record, mapping)) return { ready: true };
    if (mapping.source.kind === "schedule") await prepareSchedule(mapping, mapping.source, world);
    const plan = planOf(mapping, ackWaitMs);
    if (plan !== undefined) await world.sources.prepare(plan);
    return { ready: true };
  };
  const remove = async (record: MappingRecord): Promise<void> => {
    const plan = planOf(record, ackWaitMs);
    if (plan !== undefined) {
      await world.sources.forget(plan.stream, plan.name);
      await world.leases.delete(plan.name);
      await world.leases.delete(triesKey(record.uuid));
    }
    if (record.source.kind === "schedule") await removeSchedule(record, world);
    const now = await readRecord(triggers, record);
    if (now?.record.state !== "Deleting") return;
    await triggers.delete(mappingKey(record.acct, record.uuid), now.revision).catch((error: unknown) => {
      if (!(error instanceof Conflict)) throw error;
    });
  };
  const working = (mapping: MappingRecord, lost: (why: string) => void): (() => void) => {
    const begun = begin(mapping, world, lost);
    begun.catch((error: unknown) => lost(error instanceof Error ? error.message : String(error)));
    return () => until(begun.then((work) => work.stop()).catch(() => {}));
  };

  const logic = mappingMachine.provide({
    actors: {
      prepare: fromPromise(({ input: mapping }) => inTurn(mapping, () => prepare(mapping))),
      work: fromCallback<MappingEvent, MappingRecord>(({ input: mapping, sendBack }) =>
        working(mapping, (why) => sendBack({ type: "work.lost", why })),
      ),
      listen: fromCallback<MappingEvent, MappingRecord>(({ input: mapping }) =>
        mapping.enabled && mapping.source.kind === "subject" ? working(mapping, () => {}) : undefined,
      ),
      rest: fromPromise(({ input: mapping }) =>
        inTurn(mapping, async () => {
          if (mapping.source.kind === "schedule") await unschedule(mapping, world);
        }),
      ),
      remove: fromPromise(({ input: { record } }) => inTurn(record, () => remove(record))),
      settle: fromPromise(async ({ input }) => {
        await component.network.flush();
        await settled(input, world);
      }),
    },
    actions: {
      complain: ({ context: { record, trouble } }) => void processed(record, `PROBLEM: ${trouble}`, world),
    },
  });
  const idle = async () => {
    const { promise: outOfTime, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, LINGER_MS);
    await Promise.race([outOfTime, Promise.all(ending)]);
    clearTimeout(timer);
  };
  return { logic, idle };
}

async function begin(mapping: MappingRecord, world: Surroundings, lost: (why: string) => void): Promise<Work> {
  const { source } = mapping;
  if (source.kind === "subject") return workOnSubject(mapping, source.subject, source.reply, world);
  if (source.kind === "schedule") return workOnSchedule(mapping, source, world, lost);
  const plan = planOf(mapping, world.ackWaitMs);
  if (plan === undefined) throw new Error(`nothing is known of sources of kind ${source.kind}`);
  if (!needsTurns(mapping)) return workOnKept(mapping, plan, world, lost);
  return takeTurns({
    leases: world.leases,
    key: plan.name,
    holder: `${world.component.id}-${world.ids()}`,
    beatMs: world.beatMs,
    log: world.component.log,
    lost,
    async begin() {
      // What another left in the middle comes first.
      if (mapping.inOrder) await world.sources.rewind(plan.stream, plan.name);
      return workOnKept(mapping, plan, world, lost);
    },
  });
}
