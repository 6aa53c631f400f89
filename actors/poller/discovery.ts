/** Counts what the queues hold, every so often: the truth about who has a backlog, whatever hints were lost. */
import type { Component } from "../bus/component.ts";
import type { WorkQueues } from "../bus/queues.ts";
import type { Source } from "./backlog/machine.ts";
import { backlogKey } from "./backlog/wiring.ts";
import { LISTINGS, spotOf } from "./sources.ts";

export interface Count {
  readonly acct: string;
  readonly fn: string;
  readonly depth: number;
  readonly sources: readonly Source[];
}

/** Where messages lie whose subject names what can be no function. */
export interface Stray {
  readonly stream: string;
  readonly subject: string;
  readonly messages: number;
}

export interface DiscoveryOptions {
  readonly component: Component;
  readonly queues: Pick<WorkQueues, "backlog">;
  readonly everyMs: number;
  /** By backlog key; a function that isn't in it has nothing. */
  readonly counted: (counts: ReadonlyMap<string, Count>, strays: readonly Stray[]) => void;
}

/** Counting takes at most this share of the time: with many events waiting it is done less often. */
const SHARE = 0.1;

/** Counts at once, then every so often until `stop`. */
export function discover({ component, queues, everyMs, counted }: DiscoveryOptions): { stop(): void } {
  const { clock, log } = component;
  let notBefore = 0;
  let isCounting = false;
  const count = async () => {
    if (isCounting || clock.now() < notBefore) return;
    isCounting = true;
    const began = clock.now();
    try {
      const { counts, strays } = await countAll(queues);
      counted(counts, strays);
    } catch (error) {
      log.warn({ err: error }, "queues not counted");
    } finally {
      notBefore = clock.now() + (clock.now() - began) / SHARE;
      isCounting = false;
    }
  };
  void count();
  return clock.every(everyMs, () => void count());
}

async function countAll(
  queues: Pick<WorkQueues, "backlog">,
): Promise<{ readonly counts: ReadonlyMap<string, Count>; readonly strays: readonly Stray[] }> {
  const counts = new Map<string, Count>();
  const strays: Stray[] = [];
  const listed = await Promise.all(
    LISTINGS.map(async ({ stream, subject }) => ({ stream, held: await queues.backlog(stream, subject) })),
  );
  for (const { stream, held } of listed) {
    for (const [subject, messages] of held) {
      const spot = spotOf(stream, subject);
      if (spot === undefined) {
        strays.push({ stream, subject, messages });
        continue;
      }
      const { acct, fn } = spot;
      const key = backlogKey(acct, fn);
      const before = counts.get(key);
      const known = before?.sources ?? [];
      const sources = [...known, ...spot.sources.filter(({ name }) => !known.some((each) => each.name === name))];
      counts.set(key, { acct, fn, depth: (before?.depth ?? 0) + messages, sources });
    }
  }
  return { counts, strays };
}
