/** Takes a function's events out of its queues, and tells them when they may run. */
import type { Component } from "../../bus/component.ts";
import type { Taken, WorkQueues } from "../../bus/queues.ts";
import { type BacklogContext, backlogMachine, type Source } from "./machine.ts";
import { backlogKey } from "./wiring.ts";

export interface BacklogDesk {
  readonly component: Component;
  readonly queues: WorkQueues;
  readonly ackWaitMs: number;
  /** A message came out of a queue. Must not throw. */
  taken(message: Taken): void;
  granted(requestId: string): void;
  recalled(requestId: string): void;
}

interface Acting {
  readonly context: BacklogContext;
}

type Tap = Promise<{ stop(): Promise<void> } | undefined>;

/** Longer than a backlog stays idle, so that a name isn't forgotten under its takers. */
const FORGOTTEN_AFTER_MS = 300_000;

export function backlogLogic(desk: BacklogDesk) {
  const tapsOf = new Map<string, Map<string, Tap>>();

  const open = ({ context: { acct, fn, sources, limit } }: Acting) => {
    const key = backlogKey(acct, fn);
    const taps = tapsOf.get(key) ?? new Map<string, Tap>();
    tapsOf.set(key, taps);
    for (const source of Object.values(sources)) {
      if (!taps.has(source.name)) taps.set(source.name, tap(source, limit, taps));
    }
  };
  /** One that can't be opened, or is lost, is opened again at the next count of the streams. */
  const tap = (source: Source, limit: number, taps: Map<string, Tap>): Tap => {
    const { component, queues, ackWaitMs } = desk;
    const lost = (why: string) => {
      if (taps.get(source.name) === opening) taps.delete(source.name);
      component.log.warn({ ...source, why }, "queue not open; trying again");
      return undefined;
    };
    const opening: Tap = queues
      .take({ ...source, atMost: limit, ackWaitMs, forgottenAfterMs: FORGOTTEN_AFTER_MS }, desk.taken, lost)
      .catch((error: unknown) => lost(error instanceof Error ? error.message : String(error)));
    return opening;
  };
  return backlogMachine.provide({
    actions: {
      open,
      close: ({ context: { acct, fn } }: Acting) => {
        const key = backlogKey(acct, fn);
        for (const each of tapsOf.get(key)?.values() ?? []) void each.then((opened) => opened?.stop());
        tapsOf.delete(key);
      },
      grant: ({ context }: Acting) => {
        for (const id of context.granted) desk.granted(id);
      },
      recall: ({ context }: Acting) => {
        for (const id of context.waiting) desk.recalled(id);
      },
    },
  });
}
