/**
 * A network in memory that behaves as badly as it may: messages are late by chance, some come twice, some never. Between
 * two ends order is kept, as on a NATS connection; a message that comes twice comes the second time at any time.
 */
import { type Message, type Network, NoAnswer, type Said, type Subscription } from "../../actors/bus/port.ts";

export interface Weather {
  /** In [0, 1), the same numbers for the same seed. */
  readonly random: () => number;
  readonly delayMs: number;
  /** Shares of messages, of those that `mayFail` allows. */
  readonly twice: number;
  readonly lost: number;
  /** NATS itself never repeats a message; those whose meaning depends on that are spared. */
  readonly mayFail: (subject: string) => boolean;
}

interface Listener {
  readonly end: End;
  readonly pattern: readonly string[];
  readonly queue: string | undefined;
  readonly heard: (message: Message) => void;
}

class End {
  readonly name: string;
  isCut = false;
  /** When the last message on the way to each other end arrives. */
  readonly lastAt = new Map<End, number>();
  constructor(name: string) {
    this.name = name;
  }
}

/** One participant's connection. `cut` is its sudden death: it neither hears nor says anything any more. */
export interface Line extends Network {
  cut(): void;
}

const matches = (pattern: readonly string[], subject: readonly string[]): boolean =>
  pattern.length === subject.length && pattern.every((token, at) => token === "*" || token === subject[at]);

export class SimulatedBus {
  readonly #weather: Weather;
  #listeners: Listener[] = [];
  #inboxes = 0;

  constructor(weather: Weather) {
    this.#weather = weather;
  }

  line(name: string): Line {
    const end = new End(name);
    const subscribe: Network["subscribe"] = (subject, heard, queue) =>
      this.#subscribe({ end, pattern: subject.split("."), queue, heard });
    return {
      subscribe,
      publish: (said) => void this.#publish(end, said),
      deliver: async (said) => void this.#publish(end, said),
      request: (said, timeoutMs) =>
        new Promise((resolve, reject) => {
          const inbox = `_INBOX.${this.#inboxes++}`;
          const subscription = subscribe(inbox, (message) => over(() => resolve(message)));
          const over = (end: () => void): void => {
            clearTimeout(timer);
            void subscription.drain();
            end();
          };
          const timer = setTimeout(() => over(() => reject(new NoAnswer(`${said.subject}: timeout`))), timeoutMs);
          if (this.#publish(end, { ...said, replyTo: inbox }) === 0) {
            over(() => reject(new NoAnswer(`${said.subject}: no responders`)));
          }
        }),
      flush: async () => {},
      cut: () => {
        end.isCut = true;
        this.#listeners = this.#listeners.filter((each) => each.end !== end);
      },
    };
  }

  #subscribe(listener: Listener): Subscription {
    this.#listeners.push(listener);
    return {
      drain: async () => {
        this.#listeners = this.#listeners.filter((each) => each !== listener);
      },
    };
  }

  /** How many it goes to. */
  #publish(from: End, said: Said): number {
    if (from.isCut) return 0;
    const subject = said.subject.split(".");
    const groups = new Map<string, Listener[]>();
    for (const each of this.#listeners) {
      if (!matches(each.pattern, subject)) continue;
      const group = each.queue ?? `alone ${groups.size}`;
      groups.set(group, [...(groups.get(group) ?? []), each]);
    }
    const { random, twice, lost, mayFail } = this.#weather;
    for (const members of groups.values()) {
      const to = members[Math.floor(random() * members.length)] as Listener;
      const chance = mayFail(said.subject) ? random() : 1;
      if (chance < lost) continue;
      this.#deliver(from, to, said, true);
      if (chance < lost + twice) this.#deliver(from, to, said, false);
    }
    return groups.size;
  }

  #deliver(from: End, to: Listener, said: Said, inOrder: boolean): void {
    const { random, delayMs } = this.#weather;
    const wished = Date.now() + 1 + random() * delayMs * (inOrder ? 1 : 20);
    const at = inOrder ? Math.max(wished, from.lastAt.get(to.end) ?? 0) : wished;
    if (inOrder) from.lastAt.set(to.end, at);
    const { subject, replyTo, headers = {} } = said;
    const data = typeof said.payload === "string" ? new TextEncoder().encode(said.payload) : said.payload;
    setTimeout(() => {
      if (!to.end.isCut && this.#listeners.includes(to))
        to.heard({ subject, data, replyTo, header: (name) => headers[name] });
    }, at - Date.now());
  }
}
