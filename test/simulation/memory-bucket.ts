/** A bucket in memory, which outlives every component as a bucket of JetStream does. */
import { type Bucket, Conflict, type Entry } from "../../actors/bus/storage.ts";

export function memoryBucket(initial: Readonly<Record<string, unknown>> = {}): Bucket {
  let revision = 0;
  const entries = new Map<string, Entry>();
  const watchers = new Set<(entry: Entry) => void>();
  const write = (key: string, value: unknown): number => {
    revision += 1;
    const entry = { key, value, revision };
    if (value === undefined) entries.delete(key);
    else entries.set(key, entry);
    for (const each of watchers) each(entry);
    return revision;
  };
  for (const [key, value] of Object.entries(initial)) write(key, value);
  return {
    get: async (key) => entries.get(key),
    create: async (key, value) => {
      if (entries.has(key)) throw new Conflict(key);
      return write(key, value);
    },
    update: async (key, value, at) => {
      if (entries.get(key)?.revision !== at) throw new Conflict(key);
      return write(key, value);
    },
    put: async (key, value) => write(key, value),
    delete: async (key, at) => {
      if (at !== undefined && entries.get(key)?.revision !== at) throw new Conflict(key);
      write(key, undefined);
    },
    keys: async () => [...entries.keys()].sort(),
    watch: async (changed, upToDate) => {
      for (const each of entries.values()) changed(each);
      upToDate?.();
      watchers.add(changed);
      return { stop: () => void watchers.delete(changed) };
    },
  };
}
