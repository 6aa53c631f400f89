/**
 * Hears what is published for a function, so that a backlog that sleeps is woken at once. A hint only: the streams are counted
 * as well. Hearing every event of a flood would cost more than storing it, so an ear that hears too much at a time is closed
 * for a moment, and looks afterwards for what it missed. There is one for each shard: a flood deafens its own.
 */
import { Due, Queued, QueuedQualified, Waiting } from "../../subjects/async.ts";
import { ASYNC_STREAMS, RETRY_STREAM } from "../../subjects/streams.ts";
import type { Component } from "../bus/component.ts";
import type { Subscription } from "../bus/port.ts";
import type { WorkQueues } from "../bus/queues.ts";
import { type Spot, spotOf } from "./sources.ts";

export interface HintOptions {
  readonly component: Component;
  readonly queues: Pick<WorkQueues, "backlog">;
  readonly accounts: readonly string[];
  /** Something lies there, or lay there a moment ago. */
  readonly stirred: (spot: Spot) => void;
}

interface Place {
  readonly stream: string;
  readonly subjects: readonly string[];
}

/** One hint wakes a backlog for longer; those that come right after it would cost more than the events. */
const HINT_MS = 50;
/** More messages than that within the same time are too many. */
const LOUD = 100;
const DEAF_MS = 100;
const MOST_DEAF_MS = 1000;
/** Looking for what was missed takes at most this share of the time. */
const SHARE = 0.1;

export function listenForHints({ component, queues, accounts, stirred }: HintOptions): { stop(): Promise<void> } {
  const ears = accounts.flatMap(placesOf).map((place) => new Ear(component, queues, place, stirred));
  return { stop: async () => void (await Promise.all(ears.map((ear) => ear.stop()))) };
}

const placesOf = (acct: string): readonly Place[] => [
  ...ASYNC_STREAMS.map((stream, at) => {
    const address = { acct, shard: String(at) };
    return { stream, subjects: [Queued.subject(address), QueuedQualified.subject(address)] };
  }),
  { stream: RETRY_STREAM, subjects: [Waiting.subject({ acct }), Due.subject({ acct })] },
];

class Ear {
  readonly #component: Component;
  readonly #queues: HintOptions["queues"];
  readonly #place: Place;
  readonly #stirred: HintOptions["stirred"];
  /** Subjects that were told lately. */
  readonly #told = new Set<string>();
  #heard = 0;
  #sinceUs = 0;
  #deafMs = DEAF_MS;
  #subscriptions: readonly Subscription[] = [];
  #deaf: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(component: Component, queues: HintOptions["queues"], place: Place, stirred: HintOptions["stirred"]) {
    this.#component = component;
    this.#queues = queues;
    this.#place = place;
    this.#stirred = stirred;
    this.#open();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#deaf);
    await this.#close();
  }

  #open(): void {
    const { network } = this.#component;
    this.#subscriptions = this.#place.subjects.map((each) =>
      network.subscribe(each, ({ subject }) => this.#hear(subject)),
    );
  }

  async #close(): Promise<void> {
    const closing = this.#subscriptions;
    this.#subscriptions = [];
    await Promise.all(closing.map((each) => each.drain()));
  }

  #hear(subject: string): void {
    // Some are still on their way when it is closed.
    if (this.#subscriptions.length === 0) return;
    const us = this.#component.clock.us();
    if (us - this.#sinceUs > HINT_MS * 1000) {
      this.#told.clear();
      this.#heard = 0;
      this.#sinceUs = us;
    }
    this.#heard += 1;
    if (!this.#told.has(subject)) {
      this.#told.add(subject);
      this.#tell(subject);
    }
    if (this.#heard >= LOUD) this.#rest();
  }

  /** Subjects that name what can be no function are found by the count of the streams. */
  #tell(subject: string): void {
    const spot = spotOf(this.#place.stream, subject);
    if (spot !== undefined) this.#stirred(spot);
  }

  #rest(): void {
    void this.#close().catch(() => {});
    this.#deaf = setTimeout(() => {
      if (this.#isStopped) return;
      this.#open();
      void this.#look();
    }, this.#deafMs);
  }

  /** For what came while it was closed. */
  async #look(): Promise<void> {
    const { clock, log, network } = this.#component;
    const { stream, subjects } = this.#place;
    const began = clock.us();
    try {
      // Open first: what comes now is heard.
      await network.flush();
      for (const subject of subjects)
        for (const [found] of await this.#queues.backlog(stream, subject)) this.#tell(found);
    } catch (error) {
      log.warn({ err: error, stream }, "not looked for missed events");
    }
    this.#deafMs = Math.min(MOST_DEAF_MS, Math.max(DEAF_MS, (clock.us() - began) / 1000 / SHARE));
  }
}
