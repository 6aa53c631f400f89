/** Streams, buckets and object stores: records that are kept until a function has run them, taken in batches. */
import type { MappingRecord } from "../../../subjects/mapping.ts";
import type { SourceMessage, SourcePlan } from "../../bus/sources.ts";
import { Batches, type Held } from "../batches.ts";
import { keptId, recordOf } from "../event.ts";
import { matchesAny, textOrJson } from "../filter.ts";
import { runBatch } from "../run.ts";
import type { Surroundings, Work } from "../surroundings.ts";

/** Batches of a mapping that run at the same time, unless its owner says otherwise. */
const BATCHES = 10;

/** What is taken of a source, and as whom. `undefined` for a source that keeps nothing. */
export function planOf(mapping: MappingRecord, ackWaitMs: number): SourcePlan | undefined {
  const where = placeOf(mapping);
  if (where === undefined) return undefined;
  const { uuid, fn, startingPosition, startingAt, batchSize } = mapping;
  const start =
    startingPosition === "LATEST" ? "newest" : startingPosition === "AT_TIMESTAMP" ? { at: startingAt ?? 0 } : "oldest";
  return {
    ...where,
    name: `mapping-${uuid}`,
    description: `event source mapping of function ${fn}`,
    start,
    atMost: batchSize * batchesAtMost(mapping),
    ackWaitMs,
  };
}

const batchesAtMost = ({ maxConcurrency }: MappingRecord): number => maxConcurrency ?? BATCHES;

function placeOf({ source }: MappingRecord): Pick<SourcePlan, "stream" | "subject"> | undefined {
  if (source.kind === "stream") return { stream: source.stream, subject: source.subject };
  // Source: NATS ADR-8 (KV) and ADR-20 (object store): the streams and subjects they are kept in.
  if (source.kind === "bucket")
    return { stream: `KV_${source.bucket}`, subject: `$KV.${source.bucket}.${source.keys ?? ">"}` };
  if (source.kind === "objects") return { stream: `OBJ_${source.bucket}`, subject: `$O.${source.bucket}.M.>` };
  return undefined;
}

export async function workOnKept(
  mapping: MappingRecord,
  plan: SourcePlan,
  world: Surroundings,
  lost: (why: string) => void,
): Promise<Work> {
  const { sources, region, ackWaitMs, component } = world;
  const { inOrder, batchSize, windowSeconds, filters } = mapping;
  /** Taken and not yet done with. */
  const held = new Set<SourceMessage>();
  const running = new Set<Promise<void>>();
  const letGo = (records: readonly Held[], how: "done" | "giveBack") => {
    for (const { message } of records) {
      held.delete(message);
      message[how]();
    }
  };
  const stopping = new AbortController();
  const batches = new Batches({
    batchSize,
    windowMs: windowSeconds * 1000,
    atMost: batchesAtMost(mapping),
    inOrder,
    run: (records) => {
      const ran = runBatch(mapping, records, world, {
        stopping: stopping.signal,
        done: (each) => letGo(each, "done"),
        giveBack: (each) => letGo(each, "giveBack"),
      });
      running.add(ran);
      return ran.finally(() => running.delete(ran));
    },
  });
  const heard = (message: SourceMessage) => {
    const record = heldFrom(mapping, message, region);
    if (record === undefined || !matchesAny(filters, filtered(record.event))) return message.done();
    held.add(message);
    batches.add(record);
  };
  const taking = await sources.take(plan, heard, lost);
  const keeping = component.clock.every(ackWaitMs / 3, () => {
    for (const message of held) message.keep();
  });
  return {
    async stop() {
      await taking.stop();
      letGo(batches.stop(), "giveBack");
      stopping.abort();
      await Promise.all(running);
      keeping.stop();
    },
  };
}

/** `undefined` for what isn't what its source says it holds: nobody could ever run it. */
function heldFrom(
  mapping: MappingRecord,
  message: SourceMessage,
  region: string,
): (Held & { readonly event: ReturnType<typeof recordOf> }) | undefined {
  const { stream, sequence, deliveries, storedAt } = message;
  const id = keptId(stream, sequence);
  try {
    const { subject, data, headers } = message;
    const arrival = { subject, data, headers, at: storedAt, kept: { stream, sequence, deliveries } };
    const event = recordOf(mapping, arrival, region, id);
    const json = JSON.stringify(event);
    return { id, storedAt, message, event, json, bytes: Buffer.byteLength(json) };
  } catch {
    return undefined;
  }
}

/** Patterns look into a body and into a value, where these are JSON. */
export const filtered = (event: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    Object.entries(event).map(([name, value]) => [
      name,
      (name === "body" || name === "value") && typeof value === "string" ? textOrJson(value) : value,
    ]),
  );
