/** Takes a function's events out of its queues, and tells them when they may run. */

import { serviceSubjects } from "../../../subjects/service.ts";
import { RETRY_STREAM } from "../../../subjects/streams.ts";
import type { Component } from "../../bus/component.ts";
import { NoAnswer } from "../../bus/port.ts";
import { Owned, type Taken, type WorkQueues } from "../../bus/queues.ts";
import { type BacklogContext, type BacklogEvent, backlogMachine, type Source } from "./machine.ts";
import { backlogKey } from "./wiring.ts";

export interface BacklogDesk {
  readonly component: Component;
  readonly queues: WorkQueues;
  readonly ackWaitMs: number;
  /** The server keeps back what is not due yet. */
  readonly hasSchedules: boolean;
  /** A message came out of a queue. Must not throw. */
  taken(message: Taken): void;
  granted(requestId: string): void;
  recalled(requestId: string): void;
}

interface Acting {
  readonly context: BacklogContext;
  readonly self: { send(event: BacklogEvent): void };
}

type Tap = Promise<{ stop(): Promise<void> } | undefined>;

/** Of one function, where the server can't keep them: what waits for its time isn't to hold those back whose time has come. */
const WAITING_IN_HAND = 1000;
/** A poller that is there says so at once; one that is only slow counts as there. */
const PING_MS = 1000;

/** Longer than a backlog stays idle, so that a name isn't forgotten under its takers. */
const FORGOTTEN_AFTER_MS = 300_000;

export function backlogLogic(desk: BacklogDesk) {
  const tapsOf = new Map<string, Map<string, Tap>>();

  const { component, queues, ackWaitMs, hasSchedules } = desk;
  const isThere = (id: string): Promise<boolean> => {
    const [, , subject = ""] = serviceSubjects("PING", component.name, id);
    return component.network.request({ subject, payload: "" }, PING_MS).then(
      () => true,
      (error: unknown) => !(error instanceof NoAnswer && error.isNobody),
    );
  };
  const owner = { id: component.id, isThere };

  /** The first of its sources before the others; who has it has all. */
  const open = ({ context: { acct, fn, sources, limit }, self }: Acting) => {
    const key = backlogKey(acct, fn);
    const taps = tapsOf.get(key) ?? new Map<string, Tap>();
    tapsOf.set(key, taps);
    const [firsts, others] = [true, false].map((isFirst) =>
      Object.values(sources).filter((source) => source.isFirst === isFirst && !taps.has(source.name)),
    );
    const yielded = () => self.send({ type: "backlog.yielded" });
    for (const source of firsts ?? []) taps.set(source.name, tap(source, limit, taps, yielded));
    const opened = Object.values(sources).flatMap(({ isFirst, name }) => (isFirst ? [taps.get(name)] : []));
    for (const source of others ?? []) {
      const first = Promise.all(opened).then((each) => each.every((tap) => tap !== undefined));
      taps.set(source.name, tap(source, limit, taps, yielded, first));
    }
  };
  /** One that can't be opened, or is lost, is opened again at the next count of the streams. */
  const tap = (
    source: Source,
    limit: number,
    taps: Map<string, Tap>,
    yielded: () => void,
    after: Promise<boolean> = Promise.resolve(true),
  ): Tap => {
    const forget = () => {
      if (taps.get(source.name) === opening) taps.delete(source.name);
      return undefined;
    };
    const lost = (why: string) => {
      component.log.warn({ ...source, why }, "queue not open; trying again");
      return forget();
    };
    const taking = {
      ...source,
      atMost: hasSchedules || source.stream !== RETRY_STREAM ? limit : WAITING_IN_HAND,
      ackWaitMs,
      forgottenAfterMs: FORGOTTEN_AFTER_MS,
      ...(source.isFirst ? { owner } : {}),
    };
    const opening: Tap = after
      .then((isOurs) => (isOurs ? queues.take(taking, desk.taken, lost) : forget()))
      .catch((error: unknown) => {
        if (!(error instanceof Owned)) return lost(error instanceof Error ? error.message : String(error));
        yielded();
        return forget();
      });
    return opening;
  };
  /** Another's place is free when he is gone, and ours is another's when we were not heard of for a while. */
  const check = ({ context: { sources }, self }: Acting) => {
    for (const { stream, name, isFirst } of Object.values(sources)) {
      if (!isFirst) continue;
      void queues
        .ownerOf(stream, name)
        .then(async (id) => id !== undefined && id !== component.id && (await isThere(id)))
        .then(
          (isAnothers) => self.send({ type: isAnothers ? "backlog.yielded" : "backlog.vacated" }),
          (error: unknown) => component.log.warn({ err: error, name }, "not known who takes from a queue"),
        );
    }
  };
  return backlogMachine.provide({
    actions: {
      open,
      check,
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
