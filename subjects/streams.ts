/** Streams and buckets, as data. Names are upper-case. Replicas: 1 in the embedded default, 3 in a cluster. */
import { Due, Queued, QueuedQualified, Waiting } from "./async.ts";
import { Dead } from "./dead.ts";
import { Log } from "./logs.ts";
import { Schedule, Tick } from "./schedule.ts";
import { History } from "./state.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
/** Of what must not go without a word: pollers end events by their age, with the reason in a dead letter. */
const NEVER_TOO_OLD = 0;
const MIB = 1024 * 1024;

export interface StreamPlan {
  readonly name: string;
  readonly subjects: readonly string[];
  /** 0: nothing is too old. */
  readonly maxAgeMs: number;
  /** Absent: as much as the disk holds. */
  readonly maxBytes?: number;
  readonly description: string;
  /** Each message is for one taker, and gone when it is acknowledged. Nothing in it is dropped for something newer. */
  readonly isWorkQueue?: true;
  /** Refuses more than the configured depth of messages on one subject. */
  readonly hasDepth?: true;
  /** Messages may be kept back until their time, where the server can do it. */
  readonly hasSchedules?: true;
  /** Messages are written to the disk together, some milliseconds later: what comes in them is lost with the server's process. */
  readonly isWrittenLater?: true;
}

export const LOGS_STREAM = "LOGS";
export const STATE_STREAM = "STATE";
export const RETRY_STREAM = "RETRY";
export const DEAD_STREAM = "DEAD";
export const SCHEDULES_STREAM = "SCHEDULES";

/** Events of one function always go to the same of so many streams. */
export const ASYNC_SHARDS = 8;
export const asyncStream = (shard: string | number): string => `ASYNC_${shard}`;
export const ASYNC_STREAMS: readonly string[] = Array.from({ length: ASYNC_SHARDS }, (_, shard) => asyncStream(shard));

export const STREAMS: readonly StreamPlan[] = [
  {
    name: LOGS_STREAM,
    subjects: [Log.subject()],
    maxAgeMs: DAY_MS,
    maxBytes: 256 * MIB,
    description: "function output, by the line",
    isWrittenLater: true,
  },
  {
    name: STATE_STREAM,
    subjects: [History.subject()],
    maxAgeMs: DAY_MS,
    maxBytes: 64 * MIB,
    description: "lives of actors that were not plain warm successes: answers why a call was slow",
    isWrittenLater: true,
  },
  ...ASYNC_STREAMS.map((name, shard) => ({
    name,
    subjects: [Queued.subject({ shard: String(shard) }), QueuedQualified.subject({ shard: String(shard) })],
    maxAgeMs: NEVER_TOO_OLD,
    description: "events of asynchronous invokes that were accepted and have not run yet",
    isWorkQueue: true as const,
    hasDepth: true as const,
  })),
  {
    name: RETRY_STREAM,
    subjects: [Waiting.subject(), Due.subject()],
    maxAgeMs: NEVER_TOO_OLD,
    description: "events of asynchronous invokes that wait for another attempt",
    isWorkQueue: true,
    hasSchedules: true,
  },
  {
    name: SCHEDULES_STREAM,
    subjects: [Schedule.subject(), Tick.subject()],
    maxAgeMs: NEVER_TOO_OLD,
    description: "schedules that call functions, and their ticks that no trigger has taken yet",
    isWorkQueue: true,
    hasSchedules: true,
  },
  {
    name: DEAD_STREAM,
    subjects: [Dead.subject()],
    maxAgeMs: 14 * DAY_MS,
    description: "events of asynchronous invokes that were given up, with the reason",
  },
];

/**
 * KV buckets. Keys of FUNCTIONS: `<acct>.<fn>` and `<acct>.<fn>.<version>`; of LAYERS: `<acct>.<layer>` and
 * `<acct>.<layer>.<version>`; of TRIGGERS: `<acct>.<uuid>`; of LEASES: `<workerId>`, of a mapping that one process at a time
 * works on `mapping-<uuid>`, of one whose records fail `tries-<uuid>`.
 */
export const FUNCTIONS_BUCKET = "FUNCTIONS";
export const LAYERS_BUCKET = "LAYERS";
export const TRIGGERS_BUCKET = "TRIGGERS";
export const LEASES_BUCKET = "LEASES";
/** The object store of code packages, keyed by lower-case hexadecimal SHA-256 of the zip. */
export const CODE_BUCKET = "CODE";
