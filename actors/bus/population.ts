/**
 * A population: all actors of one machine in this process, each under its key, bound to the network by one wiring table.
 *
 * Promises
 * 1. In: decode → validate → event → the actor with that key. A bad message is logged, answered with a named error if it
 *    asks, and never throws. `type` is set by the row, so a body cannot forge an event.
 * 2. Out: each emitted event → its row → publish. Never throws either.
 * 3. Where to answer is a plain string in the event and the context: any process may answer.
 * 4. An actor that ends or fails is forgotten, and its last transition told.
 * 5. Every request is answered or still open in the statistics, which a stopping component refuses.
 */
import {
  type Actor,
  type AnyActorLogic,
  type AnyMachineSnapshot,
  createActor,
  type EmittedFrom,
  type EventFromLogic,
  type InputFrom,
  type SnapshotFrom,
} from "xstate";
import { type Refusal, Refused, refusal } from "../../subjects/errors.ts";
import { askFor } from "./asking.ts";
import type { Component } from "./component.ts";
import { decode } from "./decode.ts";
import { inspectable } from "./inspection.ts";
import { followed, Life } from "./life.ts";
import type { Message, Subscription } from "./port.ts";
import { refusalSaid } from "./replies.ts";
import type { EndpointStatistics } from "./statistics.ts";
import { stepping } from "./stepping.ts";
import type { Ask, Delivery, Hear, Saying, Wiring } from "./wiring.ts";

export interface PopulationOptions<L extends AnyActorLogic> {
  /** The noun in `mayfly.state.<actor>.<id>`. */
  readonly actor: string;
  readonly logic: L;
  readonly wiring: Wiring<L>;
  /** The input of an actor that is made because a message asked for it; `undefined` refuses to make it. */
  readonly born?: (key: string, event: EventFromLogic<L>) => InputFrom<L> | undefined;
  /** Brief actors tell their whole life once, at its end. `worthKeeping` decides what goes into the STATE stream. */
  readonly brief?: {
    about(snapshot: SnapshotFrom<L>): Record<string, unknown>;
    worthKeeping(snapshot: SnapshotFrom<L>): boolean;
    /** Answers `mayfly.inspect.<actor>.<id>` while they live. */
    readonly isInspectable?: true;
  };
  /** An event that all of them hear every so often: one timer instead of one for each. */
  readonly tick?: { readonly everyMs: number; readonly event: EventFromLogic<L> };
  /** Told when an actor has ended. */
  readonly ended?: (key: string, snapshot: SnapshotFrom<L>) => void;
}

/** Emptied at its end: the engine's older tables of a busy map hold what was in them until the next full collection. */
interface Member<L extends AnyActorLogic> {
  actor: Actor<L> | undefined;
  life: Life | undefined;
  readonly inspected: Subscription | undefined;
}

/** How long a stopping population waits for what is under way. */
const LINGER_MS = 800;

export class Population<L extends AnyActorLogic> {
  readonly #component: Component;
  readonly #options: PopulationOptions<L>;
  readonly #logic: L;
  readonly #members = new Map<string, Member<L>>();
  /** Those that bring new work, and those that tell of work under way. */
  readonly #arrivals: Subscription[] = [];
  readonly #subscriptions: Subscription[] = [];
  #ticking: { stop(): void } | undefined;
  #emptied: (() => void) | undefined;

  constructor(component: Component, options: PopulationOptions<L>) {
    this.#component = component;
    this.#options = options;
    this.#logic = followed(stepping(options.logic), (key) => this.#members.get(key)?.life);
    component.add(this);
  }

  /** Begins to hear. Actors may be spawned and sent to before that. */
  listen(): this {
    const { tick } = this.#options;
    if (tick !== undefined) this.#ticking = this.#component.clock.every(tick.everyMs, () => this.sendAll(tick.event));
    if (this.#options.brief?.isInspectable === true) this.#subscriptions.push(this.#inspectable());
    for (const row of this.#options.wiring.hears) {
      const endpoint =
        row.endpoint === undefined
          ? undefined
          : this.#component.statistics.endpoint(row.endpoint, row.subject, row.queue);
      const kind = row.absent === "birth" ? this.#arrivals : this.#subscriptions;
      kind.push(
        this.#component.network.subscribe(row.subject, (message) => this.#heard(row, endpoint, message), row.queue),
      );
    }
    return this;
  }

  get size(): number {
    return this.#members.size;
  }

  snapshots(): Array<readonly [string, SnapshotFrom<L>]> {
    return [...this.#members].flatMap(([key, { actor }]) =>
      actor === undefined ? [] : [[key, actor.getSnapshot()] as const],
    );
  }

  snapshot(key: string): SnapshotFrom<L> | undefined {
    return this.#members.get(key)?.actor?.getSnapshot();
  }

  /** Sends to one actor; false when there is none of that key. */
  send(key: string, event: EventFromLogic<L>): boolean {
    const actor = this.#members.get(key)?.actor;
    actor?.send(event);
    return actor !== undefined;
  }

  sendAll(event: EventFromLogic<L>): void {
    for (const key of [...this.#members.keys()]) this.send(key, event);
  }

  /** Makes and starts an actor. One that exists under the key is left as it is. */
  spawn(key: string, input: InputFrom<L>): void {
    if (this.#members.has(key)) return;
    const { actor: noun, brief } = this.#options;
    const life = new Life(noun, key, this.#component, brief !== undefined);
    const actor = createActor(this.#logic, { input, id: key } as never) as Actor<L>;
    const inspected = brief === undefined ? this.#inspectable(key) : undefined;
    this.#members.set(key, { actor, life, inspected });
    actor.on("*", (emitted) => this.#said(key, emitted as EmittedFrom<L>));
    actor.subscribe({
      next: (snapshot) => life.stepped(snapshot as unknown as AnyMachineSnapshot),
      error: (error) => this.#failed(key, error),
      complete: () => this.#ended(key),
    });
    actor.start();
  }

  /**
   * Stops hearing. Brief actors are given a moment to end; the others are left to what they do, their owner stops them by
   * events.
   */
  async drain(): Promise<void> {
    await Promise.all(this.#arrivals.splice(0).map((each) => each.drain()));
    await this.#emptiedWithin(LINGER_MS);
    this.#ticking?.stop();
    const inspected = [...this.#members.values()].flatMap((each) => each.inspected ?? []);
    await Promise.all([...this.#subscriptions.splice(0), ...inspected].map((each) => each.drain()));
  }

  /** Resolves when the last brief actor has ended, or the time is up. */
  #emptiedWithin(ms: number): Promise<void> {
    if (this.#options.brief === undefined || this.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#emptied = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #heard(row: Hear<EventFromLogic<L>>, endpoint: EndpointStatistics | undefined, message: Message): void {
    if (row.heeds?.(message) === false) return;
    const { clock, statistics } = this.#component;
    if (endpoint !== undefined && message.replyTo !== undefined) statistics.opened(endpoint, message.replyTo);
    const delivery: Delivery = {
      address: row.contract.address(message.subject),
      replyTo: message.replyTo,
      at: clock.now(),
      us: clock.us(),
      message,
    };
    try {
      const body = decode(row, message);
      const event = row.toEvent(body, delivery);
      const key = row.key(body, delivery, event);
      if (key === undefined) return this.sendAll(event);
      if (row.absent === "birth" && this.#members.has(key)) return this.#refuse(message.replyTo, twin(key));
      if (this.send(key, event) || row.absent === "ignore") return;
      if (typeof row.absent === "function") {
        const said = row.absent(delivery);
        this.#component.statistics.answered(said.subject, said.error);
        return this.#component.network.publish(said);
      }
      if (row.absent !== "spawn" && row.absent !== "birth") return this.#refuse(message.replyTo, row.absent);
      const input = this.#options.born?.(key, event);
      if (input === undefined) return;
      this.spawn(key, input);
      if (row.absent === "spawn") this.send(key, event);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#component.log.warn({ subject: message.subject, why }, "message refused");
      this.#refuse(message.replyTo, error instanceof Refused ? error.refusal : refusal("RequestMalformed", why));
    }
  }

  #refuse(to: string | undefined, refused: Refusal, headers?: Readonly<Record<string, string>>): void {
    if (to === undefined) return;
    this.#component.network.publish(refusalSaid(to, refused, headers));
    this.#component.statistics.answered(to, `${refused.name}: ${refused.message}`);
  }

  #said(key: string, emitted: EmittedFrom<L>): void {
    try {
      if (this.#saidReserved(emitted)) return;
      const says = this.#options.wiring.says as Record<string, Saying<unknown> | Ask<unknown, EventFromLogic<L>>>;
      const row = says[emitted.type];
      if (row === undefined) throw new Error(`no row says ${emitted.type}`);
      if (typeof row !== "function") return void this.#ask(key, row, emitted);
      const said = row(emitted);
      if (said === undefined) return;
      for (const each of Array.isArray(said) ? said : [said]) {
        this.#component.network.publish(each);
        // News answers nobody, and looking for who asked for it isn't free.
        if (each.isNews !== true) this.#component.statistics.answered(each.subject, each.error);
      }
    } catch (error) {
      this.#component.log.error(
        { actor: this.#options.actor, id: key, said: emitted.type, err: error },
        "could not say",
      );
    }
  }

  #saidReserved(emitted: EmittedFrom<L>): boolean {
    const { network, statistics } = this.#component;
    const event = emitted as unknown as ReservedEmit;
    if (event.type === "reply") {
      if (event.to === undefined) return true;
      network.publish({
        subject: event.to,
        payload: event.payload ?? JSON.stringify(event.body ?? {}),
        isAnswer: true,
        ...(event.headers === undefined ? {} : { headers: event.headers }),
      });
      statistics.answered(event.to);
      return true;
    }
    if (event.type === "refuse") {
      this.#refuse(event.to, event.refusal, event.headers);
      return true;
    }
    if (event.type === "answered") {
      if (event.to !== undefined) statistics.answered(event.to, event.error);
      return true;
    }
    return false;
  }

  async #ask(key: string, row: Ask<unknown, EventFromLogic<L>>, emitted: unknown): Promise<void> {
    this.send(key, await askFor(this.#component.network, row, emitted));
  }

  /** Of one actor; without a key, of any. */
  #inspectable(key?: string): Subscription {
    const snapshotOf = (id: string) => this.snapshot(id) as AnyMachineSnapshot | undefined;
    return inspectable(this.#component.network, { actor: this.#options.actor, key, snapshotOf });
  }

  #failed(key: string, error: unknown): void {
    this.#component.log.error({ actor: this.#options.actor, id: key, err: error }, "actor failed");
    this.#ended(key);
  }

  #ended(key: string): void {
    const member = this.#members.get(key);
    if (member === undefined) return;
    this.#members.delete(key);
    if (this.size === 0) this.#emptied?.();
    const { actor, life, inspected } = member;
    member.actor = undefined;
    member.life = undefined;
    if (actor === undefined) return;
    const snapshot = actor.getSnapshot() as SnapshotFrom<L>;
    const { brief } = this.#options;
    if (brief !== undefined) life?.tell(brief.about(snapshot), brief.worthKeeping(snapshot));
    void inspected?.drain();
    this.#options.ended?.(key, snapshot);
  }
}

/** The message that makes an actor is a request of its own: one that comes twice is not the first one's business. */
const twin = (key: string): Refusal => refusal("ResourceConflictException", `${key} is under way already`);

type ReservedEmit =
  | {
      type: "reply";
      to: string | undefined;
      body?: unknown;
      payload?: string | Uint8Array;
      headers?: Record<string, string>;
    }
  | { type: "refuse"; to: string | undefined; refusal: Refusal; headers?: Record<string, string> }
  | { type: "answered"; to: string | undefined; error?: string };
