/** Streams and buckets, as data. Names are upper-case. Replicas: 1 in the embedded default, 3 in a cluster. */
import { Log } from "./logs.ts";
import { History } from "./state.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const MIB = 1024 * 1024;

export interface StreamPlan {
  readonly name: string;
  readonly subjects: readonly string[];
  readonly maxAgeMs: number;
  readonly maxBytes: number;
  readonly description: string;
}

export const STREAMS: readonly StreamPlan[] = [
  {
    name: "LOGS",
    subjects: [Log.subject()],
    maxAgeMs: DAY_MS,
    maxBytes: 256 * MIB,
    description: "function output, one line a message",
  },
  {
    name: "STATE",
    subjects: [History.subject()],
    maxAgeMs: DAY_MS,
    maxBytes: 64 * MIB,
    description: "lives of actors that were not plain warm successes: answers why a call was slow",
  },
];

export const LOGS_STREAM = "LOGS";
export const STATE_STREAM = "STATE";

/** KV buckets. Keys of FUNCTIONS: `<acct>.<fn>` and `<acct>.<fn>.<version>`; of LEASES: `<workerId>`. */
export const FUNCTIONS_BUCKET = "FUNCTIONS";
export const LEASES_BUCKET = "LEASES";
/** The object store of code packages, keyed by lower-case hexadecimal SHA-256 of the zip. */
export const CODE_BUCKET = "CODE";
