/** What a trigger writes into a mapping's record: how far it is, and what came of the last records. Never a wish. */
import { MappingRecord, mappingKey } from "../../subjects/mapping.ts";
import { type Bucket, Conflict } from "../bus/storage.ts";
import type { Settling } from "./machine.ts";
import { isSameWish } from "./policy.ts";
import type { Surroundings } from "./surroundings.ts";

interface Kept {
  readonly record: MappingRecord;
  readonly revision: number;
}

export async function readRecord(
  triggers: Bucket,
  { acct, uuid }: Pick<MappingRecord, "acct" | "uuid">,
): Promise<Kept | undefined> {
  const entry = await triggers.get(mappingKey(acct, uuid));
  const parsed = MappingRecord.safeParse(entry?.value);
  return entry !== undefined && parsed.success ? { record: parsed.data, revision: entry.revision } : undefined;
}

/** Changes the record as it is then; `undefined` leaves it. Resolves with what is kept, if there is a record. */
async function changed(
  triggers: Bucket,
  which: Pick<MappingRecord, "acct" | "uuid">,
  change: (now: MappingRecord) => MappingRecord | undefined,
): Promise<Kept | undefined> {
  for (;;) {
    const now = await readRecord(triggers, which);
    const after = now === undefined ? undefined : change(now.record);
    if (now === undefined || after === undefined) return now;
    try {
      return {
        record: after,
        revision: await triggers.update(mappingKey(which.acct, which.uuid), after, now.revision),
      };
    } catch (error) {
      if (!(error instanceof Conflict)) throw error;
    }
  }
}

/** Writes the end of a step, unless somebody did already or its owner wishes something else by now. */
export const settled = (
  { record, state, reason }: Settling,
  { triggers, component }: Pick<Surroundings, "triggers" | "component">,
): Promise<Kept | undefined> =>
  changed(triggers, record, (now) =>
    isSameWish(now, record) ? { ...now, state, stateReason: reason, modifiedAt: component.clock.now() } : undefined,
  );

const LOOKED_MS = 1000;
/** By the bucket that was looked at: what each mapping's record was seen to say, and when. */
const looked = new WeakMap<Bucket, Map<string, { readonly result: string; readonly at: number }>>();

/**
 * Tells the owner of the last records, where that is news; the record is looked at once a second at most for the same news.
 * What can't be told now is told by the next ones.
 */
export async function processed(
  mapping: MappingRecord,
  result: string,
  { triggers, component }: Pick<Surroundings, "triggers" | "component">,
): Promise<void> {
  const at = component.clock.now();
  const seen = looked.get(triggers) ?? new Map();
  looked.set(triggers, seen);
  const last = seen.get(mapping.uuid);
  if (last?.result === result && at - last.at < LOOKED_MS) return;
  seen.set(mapping.uuid, { result, at });
  try {
    await changed(triggers, mapping, (now) =>
      now.state === "Deleting" || now.lastProcessingResult === result
        ? undefined
        : { ...now, lastProcessingResult: result },
    );
  } catch (error) {
    component.log.warn({ err: error, mapping: mapping.uuid }, "a mapping's last result was not written");
  }
}
