/**
 * How often the records were tried that a function fails for. Kept in the LEASES bucket at `tries-<uuid>`, so that whoever is
 * given them after a crash goes on counting. Written after a failed try, before the next one; a mapping that may try without
 * end needs none of it.
 */
import { type MappingRecord, MappingTries } from "../../subjects/mapping.ts";
import { type Bucket, Conflict } from "../bus/storage.ts";

/** Attempts by sequence in the stream; a record that isn't in it was not tried. */
export type Attempts = ReadonlyMap<number, number>;

export interface Tries {
  read(): Promise<Attempts>;
  /** Takes these over; 0 forgets one. */
  note(changes: Attempts): Promise<void>;
}

export const triesKey = (uuid: string): string => `tries-${uuid}`;

export function triesOf({ uuid }: Pick<MappingRecord, "uuid">, leases: Bucket): Tries {
  const key = triesKey(uuid);
  const current = async () => {
    const entry = await leases.get(key);
    const kept = MappingTries.safeParse(entry?.value);
    return { revision: entry?.revision, attempts: attemptsIn(kept.success ? kept.data : []) };
  };
  return {
    read: async () => (await current()).attempts,
    async note(changes) {
      for (;;) {
        const { revision, attempts } = await current();
        for (const [sequence, count] of changes) {
          if (count === 0) attempts.delete(sequence);
          else attempts.set(sequence, count);
        }
        try {
          if (revision === undefined) await leases.create(key, triesFrom(attempts));
          else await leases.update(key, triesFrom(attempts), revision);
          return;
        } catch (error) {
          if (!(error instanceof Conflict)) throw error;
        }
      }
    },
  };
}

function attemptsIn(tries: MappingTries): Map<number, number> {
  const found = new Map<number, number>();
  for (const { attempts, from, to } of tries)
    for (let sequence = from; sequence <= to; sequence++) found.set(sequence, attempts);
  return found;
}

/** Neighbours that were tried as often are one entry: a batch has thousands of records. */
function triesFrom(attempts: Attempts): MappingTries {
  const tries: MappingTries = [];
  for (const [sequence, count] of [...attempts].sort(([one], [other]) => one - other)) {
    const last = tries.at(-1);
    if (last !== undefined && last.to === sequence - 1 && last.attempts === count) last.to = sequence;
    else tries.push({ attempts: count, from: sequence, to: sequence });
  }
  return tries;
}
