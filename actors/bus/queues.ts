/**
 * Work queues on JetStream: what is stored in one is for one taker, who takes it, keeps it while he works on it, and
 * acknowledges it or gives it back. Beside queues it publishes into any stream, acknowledged by that stream.
 */
import {
  AckPolicy,
  type Consumer,
  type ConsumerMessages,
  type JsMsg,
  jetstream,
  jetstreamManager,
  type StoredMsg,
} from "@nats-io/jetstream";
import { errors, headers, type NatsConnection, nanos, type Subscription } from "nats";
import { type Message, NoAnswer, type Said } from "./port.ts";
import { storedIn } from "./streams.ts";

/** A message as it lies in a stream. */
export interface Kept extends Message {
  readonly stream: string;
  readonly sequence: number;
  /** Epoch milliseconds. */
  readonly storedAt: number;
}

/** A message out of a queue: until it is acknowledged or given back it is the taker's, as long as he says so in time. */
export interface Taken extends Kept {
  /** From 1. */
  readonly deliveries: number;
  /** Done: it leaves the queue. */
  done(): void;
  /** Still at work: the time to acknowledge it begins again. */
  keep(): void;
  /** Not done: it is delivered again, at once or after so many milliseconds, which it waits in the taker's share. */
  giveBack(delayMs?: number): void;
}

/** The queue holds as many messages of the subject as it may. */
export class QueueFull extends Error {
  override readonly name = "QueueFull";
}

export interface Storing {
  /** Two with the same id within two minutes are stored once. */
  readonly id?: string;
  /** The only stream that may store it. */
  readonly stream?: string;
}

/** Thrown by `take`: somebody else, who is there, takes under the name. */
export class Owned extends Error {
  override readonly name = "Owned";
}

export interface Taking {
  readonly stream: string;
  /** The subjects of the messages to take; wildcards allowed. No two takers of other names may overlap. */
  readonly subject: string;
  /** The takers of one name share what is there. */
  readonly name: string;
  /** Taken and not yet acknowledged, by all takers of the name together. */
  readonly atMost: number;
  readonly ackWaitMs: number;
  /** The server forgets the name when nobody took for so long; messages stay. */
  readonly forgottenAfterMs: number;
  /**
   * The only taker of the name, until he is gone or takes no more; absent, any number of them. The server keeps who it is
   * (before 2.10 the last one who asked: see `ownerOf`).
   */
  readonly owner?: { readonly id: string; isThere(id: string): Promise<boolean> };
}

export interface Stored {
  /** It was there already. */
  readonly isDuplicate: boolean;
}

export interface StreamState {
  /** In it now. */
  readonly messages: number;
  /** Ever stored in it. */
  readonly lastSequence: number;
}

export interface WorkQueues {
  /** Resolves when a stream has stored it. Throws `QueueFull`; `NoAnswer` when no stream said so; what is too big, at once. */
  store(said: Said, storing?: Storing): Promise<Stored>;
  /** The stream that stores what is published to a subject; `undefined` when none does. Rejects when nobody can tell. */
  storedIn(subject: string): Promise<string | undefined>;
  /** How many messages there are of each subject that matches. */
  backlog(stream: string, subject: string): Promise<ReadonlyMap<string, number>>;
  state(stream: string): Promise<StreamState>;
  /** The first message that matches, from a sequence on. It stays where it is; `undefined` when there is none. */
  look(stream: string, subject: string, from: number): Promise<Kept | undefined>;
  /** Takes a message out, whoever has it. False when it is gone already: of several who try, one is told true. */
  remove(stream: string, sequence: number): Promise<boolean>;
  /**
   * Takes as they come, until `stop`. `lost` is called once when the taking ended by itself. `taken` must not throw. Throws
   * `Owned`.
   */
  take(
    taking: Taking,
    taken: (message: Taken) => void,
    lost: (why: string) => void,
  ): Promise<{ stop(): Promise<void> }>;
  /** Who takes under a name as its only one; `undefined` when nobody does. */
  ownerOf(stream: string, name: string): Promise<string | undefined>;
}

const STORE_MS = 5000;
const MAX_PER_SUBJECT = 10077;
const CONSUMER_EXISTS = 10148;
const CONSUMER_MISSING = 10014;
/** The server shows it to people, and keeps it with the consumer. */
const OWNER = /^taken by (\S+)$/;
const NO_MESSAGE = 10037;
const DELETE_FAILED = 10057;
const NANOS_PER_MS = 1_000_000;

export async function natsQueues(connection: NatsConnection): Promise<WorkQueues> {
  const client = jetstream(connection);
  const manager = await jetstreamManager(connection);
  const ownerOf: WorkQueues["ownerOf"] = async (stream, name) => {
    const info = await manager.consumers.info(stream, name).catch((error: unknown) => {
      if (codeOf(error) === CONSUMER_MISSING) return undefined;
      throw error;
    });
    return OWNER.exec(info?.config.description ?? "")?.[1];
  };
  return {
    ownerOf,
    async store({ subject, payload, headers: said = {} }, { id, stream } = {}) {
      const sent = headers();
      for (const [name, value] of Object.entries(said)) sent.set(name, value);
      try {
        const { duplicate } = await client.publish(subject, payload, {
          headers: sent,
          timeout: STORE_MS,
          ...(id === undefined ? {} : { msgID: id }),
          ...(stream === undefined ? {} : { expect: { streamName: stream } }),
        });
        return { isDuplicate: duplicate };
      } catch (error) {
        if (error instanceof errors.InvalidArgumentError) throw error;
        const why = `${subject}: ${error instanceof Error ? error.message : String(error)}`;
        throw codeOf(error) === MAX_PER_SUBJECT ? new QueueFull(why) : new NoAnswer(why);
      }
    },
    storedIn: (subject) => storedIn(manager, subject),
    async backlog(stream, subject) {
      const { state } = await manager.streams.info(stream, { subjects_filter: subject });
      return new Map(Object.entries(state.subjects ?? {}));
    },
    async state(stream) {
      const { state } = await manager.streams.info(stream);
      return { messages: state.messages, lastSequence: state.last_seq };
    },
    async look(stream, subject, from) {
      const found = await manager.direct.getMessage(stream, { seq: from, next_by_subj: subject });
      return found === null ? undefined : keptFrom(stream, found);
    },
    async remove(stream, sequence) {
      try {
        return await manager.streams.deleteMessage(stream, sequence, false);
      } catch (error) {
        if (codeOf(error) === DELETE_FAILED || codeOf(error) === NO_MESSAGE) return false;
        throw error;
      }
    },
    async take(taking, taken, lost) {
      const { stream, name, subject, atMost, ackWaitMs, forgottenAfterMs, owner } = taking;
      const changing = {
        ack_wait: nanos(ackWaitMs),
        max_ack_pending: atMost,
        ...(owner === undefined ? {} : { description: `taken by ${owner.id}` }),
      };
      await manager.consumers
        .add(stream, {
          ...changing,
          durable_name: name,
          filter_subject: subject,
          ack_policy: AckPolicy.Explicit,
          inactive_threshold: nanos(forgottenAfterMs),
        })
        .catch(async (error: unknown) => {
          if (codeOf(error) !== CONSUMER_EXISTS) throw error;
          const other = owner === undefined ? undefined : await ownerOf(stream, name);
          if (owner !== undefined && other !== undefined && other !== owner.id && (await owner.isThere(other)))
            throw new Owned(`${name} is taken by ${other}`);
          return manager.consumers.update(stream, name, changing);
        });
      return follow(await client.consumers.get(stream, name), atMost, (message) => taken(takenFrom(message)), lost);
    },
  };
}

/**
 * The client's own way to stop drops what the server has sent already: nobody's until its time to acknowledge is over.
 * Drained first, it is still delivered. The client drains this subscription itself when the connection is drained, but
 * doesn't offer it.
 */
function subscriptionOf(messages: ConsumerMessages): Subscription | undefined {
  return "sub" in messages ? (messages.sub as Subscription) : undefined;
}

/**
 * How soon it is noticed that a consumer's server is gone with what we asked it for: after two beats missed; and how long it
 * is waited before a consumer that has no leader yet is asked again. The client's own times (15 s and 30 s) would let a
 * queue stand still for a minute while a cluster has long since chosen another leader.
 */
const BEAT_MS = 2000;
const ASKED_FOR_MS = 5000;

/** Hears what a consumer has, as many messages ahead as may be held. */
export async function follow(
  consumer: Consumer,
  atMost: number,
  heard: (message: JsMsg) => void,
  lost: (why: string) => void,
): Promise<{ stop(): Promise<void> }> {
  const messages = await consumer.consume({
    max_messages: atMost,
    idle_heartbeat: BEAT_MS,
    expires: ASKED_FOR_MS,
    abort_on_missing_resource: true,
    callback: heard,
  });
  let isStopped = false;
  void messages.closed().then((why) => {
    if (!isStopped) lost(why instanceof Error ? why.message : "the server ended it");
  });
  return {
    async stop() {
      isStopped = true;
      await subscriptionOf(messages)?.drain();
      await messages.close();
    },
  };
}

function keptFrom(stream: string, { subject, data, seq: sequence, time, header }: StoredMsg): Kept {
  const storedAt = time.getTime();
  return {
    subject,
    data,
    replyTo: undefined,
    header: (name) => header.get(name) || undefined,
    stream,
    sequence,
    storedAt,
  };
}

export function takenFrom(message: JsMsg): Taken {
  const { stream, streamSequence: sequence, timestampNanos, deliveryCount: deliveries } = message.info;
  return {
    subject: message.subject,
    data: message.data,
    replyTo: undefined,
    header: (name) => message.headers?.get(name) || undefined,
    stream,
    sequence,
    storedAt: Math.floor(timestampNanos / NANOS_PER_MS),
    deliveries,
    done: () => message.ack(),
    keep: () => message.working(),
    giveBack: (delayMs) => message.nak(delayMs),
  };
}

export const codeOf = (error: unknown): unknown =>
  typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
