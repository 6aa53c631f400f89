/** What in the NATS account is the platform's, told to the server's permissions. */
import type { PlatformProperty } from "../../config/nats/people.ts";
import type { Stamp } from "../../config/nats/stamping.ts";
import { PLATFORM_SUBJECTS } from "../../subjects/platform.ts";
import {
  ASYNC_SHARDS,
  ASYNC_STREAMS,
  CODE_BUCKET,
  DEAD_STREAM,
  FUNCTIONS_BUCKET,
  LAYERS_BUCKET,
  LEASES_BUCKET,
  LOGS_STREAM,
  RETRY_STREAM,
  SCHEDULES_STREAM,
  STATE_STREAM,
  TRIGGERS_BUCKET,
} from "../../subjects/streams.ts";
import { DEFAULT_ACCOUNT } from "../../subjects/tokens.ts";

export const platformProperty: PlatformProperty = {
  subjects: PLATFORM_SUBJECTS,
  queues: ["frontend", "poller", "control-plane", "control-plane-unknown"],
  streams: [LOGS_STREAM, STATE_STREAM, DEAD_STREAM],
  workQueues: [...ASYNC_STREAMS, RETRY_STREAM, SCHEDULES_STREAM],
  buckets: [FUNCTIONS_BUCKET, LAYERS_BUCKET, TRIGGERS_BUCKET, LEASES_BUCKET],
  objectStores: [CODE_BUCKET],
};

export const embeddedStamp: Stamp = { account: DEFAULT_ACCOUNT, asyncShards: ASYNC_SHARDS };
