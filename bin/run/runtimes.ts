/** The runtimes this host can boot, kept current: `mayfly runtime install` adds one to a running worker. */
import { watch } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { RememberedRuntimes } from "../../actors/sandbox/runtimes/remembered.ts";

interface Followed {
  now(): readonly string[];
  stop(): void;
}

/** `changed` is called once one was installed or removed, and what is remembered of them forgotten. */
export async function followRuntimes(
  home: string,
  runtimes: RememberedRuntimes,
  changed: () => void,
): Promise<Followed> {
  const folder = join(home, "runtimes");
  await mkdir(folder, { recursive: true });
  let known: readonly string[] = [];
  let isStale = false;
  let isListing = false;
  const list = async () => {
    isStale = true;
    if (isListing) return;
    isListing = true;
    try {
      while (isStale) {
        isStale = false;
        known = await runtimes.list();
      }
    } finally {
      isListing = false;
    }
  };
  // From before they are first listed, so that none is missed; and one listing serves many changes.
  const watcher = watch(folder, (_, name) => {
    if (name?.startsWith(".")) return;
    runtimes.forget();
    changed();
    // What can't be read now, while it is being installed, is read at its next change.
    list().catch(() => {});
  }).on("error", () => {});
  await list();
  return { now: () => known, stop: () => watcher.close() };
}
