/**
 * What tenants keep in JetStream, as a source of events: a durable consumer that all takers of its name share, who keep what
 * they took while they work on it, and acknowledge it or give it back.
 */
import {
  AckPolicy,
  type ConsumerConfig,
  DeliverPolicy,
  type JsMsg,
  jetstream,
  jetstreamManager,
} from "@nats-io/jetstream";
import { headers, type NatsConnection, nanos } from "nats";
import type { Message } from "./port.ts";
import { codeOf, follow, type Taken, takenFrom } from "./queues.ts";

/** A message out of a source. */
export type SourceMessage = Taken & Required<Pick<Message, "headers">>;

export interface SourcePlan {
  readonly stream: string;
  /** Of which subjects of the stream; wildcards allowed. All without it. */
  readonly subject: string | undefined;
  /** The takers of one name share what is there. */
  readonly name: string;
  /** Shown by `nats consumer info`. */
  readonly description: string;
  /** Where a consumer begins that is made; one that exists goes on where it is. */
  readonly start: "oldest" | "newest" | { readonly at: number };
  /** Taken and not yet acknowledged, by all takers of the name together. */
  readonly atMost: number;
  readonly ackWaitMs: number;
}

export interface ServerSchedule {
  readonly stream: string;
  /** Where the schedule itself is kept: one for each subject. */
  readonly subject: string;
  readonly target: string;
  /** `@every 5m`, `@at <RFC 3339>`, or cron with seconds first. */
  readonly when: string;
  /** Of a cron expression; IANA. */
  readonly timeZone?: string;
}

export interface Sources {
  /** Makes the consumer, or brings it up to date. Rejects when the stream is missing or can't have it. */
  prepare(plan: SourcePlan): Promise<void>;
  /** Takes as they come, until `stop`. `lost` is called once when the taking ended by itself. `taken` must not throw. */
  take(
    plan: SourcePlan,
    taken: (message: SourceMessage) => void,
    lost: (why: string) => void,
  ): Promise<{ stop(): Promise<void> }>;
  /**
   * What was taken and not acknowledged is delivered again before anything newer, now, also what is still in somebody's hands.
   * An older server can't: there it comes when its time to be acknowledged is over.
   */
  rewind(stream: string, name: string): Promise<void>;
  /** Has the server publish to `target` whenever it is time; said again as it is, it goes on as it was. */
  schedule(schedule: ServerSchedule): Promise<void>;
  unschedule(stream: string, subject: string): Promise<void>;
  /** Removes the consumer; one that is gone already counts as removed. */
  forget(stream: string, name: string): Promise<void>;
}

const CONSUMER_EXISTS = 10148;
const CONSUMER_MISSING = 10014;
const STREAM_MISSING = 10059;

/** `hasReset`: the server can begin again with what a consumer has delivered and not heard of. */
export async function natsSources(
  connection: NatsConnection,
  { hasReset }: { readonly hasReset: boolean },
): Promise<Sources> {
  const client = jetstream(connection);
  const { consumers, streams } = await jetstreamManager(connection);
  return {
    async prepare(plan) {
      const { stream, name, subject } = plan;
      const changing = {
        ack_wait: nanos(plan.ackWaitMs),
        max_ack_pending: plan.atMost,
        description: plan.description,
      };
      const config = {
        ...changing,
        ...startOf(plan.start),
        durable_name: name,
        ack_policy: AckPolicy.Explicit,
        ...(subject === undefined ? {} : { filter_subject: subject }),
      };
      // One that exists is not added again: its place to begin may differ by now from what is asked, which is no fault.
      const known = await consumers.info(stream, name).catch((error: unknown) => {
        if (codeOf(error) === CONSUMER_MISSING) return undefined;
        throw error;
      });
      const update = () => consumers.update(stream, name, changing);
      if (known !== undefined) return void (await update());
      await consumers.add(stream, config).catch((error: unknown) => {
        if (codeOf(error) !== CONSUMER_EXISTS) throw error;
        return update();
      });
    },
    async take({ stream, name, atMost }, taken, lost) {
      const consumer = await client.consumers.get(stream, name);
      return follow(consumer, atMost, (message) => taken(sourceMessageFrom(message)), lost);
    },
    async rewind(stream, name) {
      if (hasReset) await consumers.reset(stream, name);
    },
    async schedule({ stream, subject, target, when, timeZone }) {
      const wished = {
        "Nats-Schedule": when,
        "Nats-Schedule-Target": target,
        ...(timeZone === undefined ? {} : { "Nats-Schedule-Time-Zone": timeZone }),
      };
      const last = await streams.getMessage(stream, { last_by_subj: subject });
      const isThere = Object.entries(wished).every(([name, value]) => last?.header.get(name) === value);
      if (last !== null && isThere) return;
      const sent = headers();
      for (const [name, value] of Object.entries(wished)) sent.set(name, value);
      await client.publish(subject, "", { headers: sent, expect: { streamName: stream } });
    },
    async unschedule(stream, subject) {
      await streams.purge(stream, { filter: subject });
    },
    async forget(stream, name) {
      await consumers.delete(stream, name).catch((error: unknown) => {
        if (![CONSUMER_MISSING, STREAM_MISSING].includes(Number(codeOf(error)))) throw error;
      });
    },
  };
}

function startOf(start: SourcePlan["start"]): Partial<ConsumerConfig> {
  if (start === "oldest") return { deliver_policy: DeliverPolicy.All };
  if (start === "newest") return { deliver_policy: DeliverPolicy.New };
  return { deliver_policy: DeliverPolicy.StartTime, opt_start_time: new Date(start.at).toISOString() };
}

function sourceMessageFrom(message: JsMsg): SourceMessage {
  const headers = Object.fromEntries([...(message.headers ?? [])].map(([name, values]) => [name, values.join(",")]));
  return { ...takenFrom(message), headers };
}
