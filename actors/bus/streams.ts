/** Makes the streams that are missing, from the plans in subjects/streams.ts, and brings the others up to date. */
import { isDeepStrictEqual } from "node:util";
import {
  DiscardPolicy,
  type JetStreamManager,
  jetstreamManager,
  PersistMode,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from "@nats-io/jetstream";
import { type NatsConnection, nanos } from "nats";
import { STREAMS, type StreamPlan } from "../../subjects/streams.ts";

export interface StreamOptions {
  /** 1 on one server, 3 in a cluster. */
  readonly replicas: number;
  /** Messages that one subject of a queue with a depth may hold; absent, as many as come. */
  readonly asyncDepth?: number;
}

const DUPLICATE_WINDOW_MS = 120_000;
/**
 * When several processes ask a cluster for the same stream at once, one of them may never be answered: it looks again,
 * and finds the stream there.
 */
const API_MS = 3000;
const TRIES = 5;
/** A consumer for each function with a backlog; servers from 2.15 on take 1000 unless told otherwise. */
const MAX_CONSUMERS = 5000;

export async function makeStreams(connection: NatsConnection, options: StreamOptions): Promise<void> {
  const { streams } = await jetstreamManager(connection, { timeout: API_MS });
  const make = async (plan: StreamPlan) => {
    const changing = changeable(plan, options);
    const known = await streams.info(plan.name).catch(() => undefined);
    if (known === undefined) await streams.add({ ...changing, ...fixed(plan, options), name: plan.name });
    else if (!isAsPlanned(known.config, changing)) await streams.update(plan.name, changing);
  };
  // One after the other: a subject moves from one stream to the next only when the first has let go of it.
  for (const plan of STREAMS) {
    for (let tried = 1; ; tried++) {
      const failure = await make(plan).then(
        () => undefined,
        (error: Error) => error,
      );
      if (failure === undefined) break;
      if (tried === TRIES) throw new Error(`stream ${plan.name} can't be made: ${failure.message}`, { cause: failure });
    }
  }
}

/** The stream that stores what is published to a subject; `undefined` when none does. Rejects when nobody can tell. */
export async function storedIn(
  { streams }: Pick<JetStreamManager, "streams">,
  subject: string,
): Promise<string | undefined> {
  const [stream] = await streams.names(subject).next();
  return stream;
}

const isAsPlanned = (config: StreamConfig, planned: Partial<StreamConfig>): boolean =>
  Object.entries(planned).every(([key, value]) => isDeepStrictEqual(config[key as keyof StreamConfig], value));

/** What a stream may be given later, too: schedules when its server has become a newer one. */
function changeable(plan: StreamPlan, { asyncDepth }: StreamOptions): Partial<StreamConfig> {
  return {
    subjects: [...plan.subjects],
    max_age: nanos(plan.maxAgeMs),
    max_bytes: plan.maxBytes ?? -1,
    description: plan.description,
    ...(plan.hasSchedules === true ? { allow_msg_schedules: true } : {}),
    ...(plan.hasDepth === true && asyncDepth !== undefined
      ? { max_msgs_per_subject: asyncDepth, discard_new_per_subject: true }
      : {}),
  };
}

/** Servers silently ignore what they don't know: depth per subject, schedules and writing later are then off. */
function fixed(plan: StreamPlan, { replicas }: StreamOptions): Partial<StreamConfig> {
  const isQueue = plan.isWorkQueue === true;
  return {
    num_replicas: replicas,
    retention: isQueue ? RetentionPolicy.Workqueue : RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: plan.hasDepth === true ? DiscardPolicy.New : DiscardPolicy.Old,
    duplicate_window: nanos(DUPLICATE_WINDOW_MS),
    allow_direct: true,
    ...(isQueue ? { max_consumers: MAX_CONSUMERS } : {}),
    // Only a stream on one server has the choice: with replicas the others hold what one hasn't written yet.
    ...(plan.isWrittenLater === true && replicas === 1 ? { persist_mode: PersistMode.Async } : {}),
  };
}
