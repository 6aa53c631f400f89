/**
 * Shows a component as a NATS micro service: PING, INFO and STATS on `$SRV`, so that `nats micro ls|info|stats` list it.
 * Own code, because the client library's service counts a handler's synchronous part only, and ours answer later.
 * Source: NATS ADR-32.
 */
import { serviceSubjects } from "../../subjects/service.ts";
import type { Clock, Network, Subscription } from "./port.ts";
import type { EndpointStatistics, Statistics } from "./statistics.ts";

export interface ServiceOptions {
  readonly name: string;
  readonly id: string;
  readonly version: string;
  readonly description: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

const NS_PER_US = 1000;

export function showService(
  network: Network,
  clock: Clock,
  statistics: Statistics,
  { name, id, version, description, metadata = {} }: ServiceOptions,
): Subscription {
  const started = new Date(clock.now()).toISOString();
  const identity = { name, id, version, metadata };
  const answers = {
    PING: () => ({ type: "io.nats.micro.v1.ping_response", ...identity }),
    INFO: () => ({
      type: "io.nats.micro.v1.info_response",
      ...identity,
      description,
      endpoints: statistics.endpoints.map(({ name, subject, queue }) => ({ name, subject, queue_group: queue })),
    }),
    STATS: () => ({
      type: "io.nats.micro.v1.stats_response",
      ...identity,
      started,
      endpoints: statistics.endpoints.map(endpointStats),
    }),
  } as const;
  const subscriptions = (["PING", "INFO", "STATS"] as const).flatMap((verb) =>
    serviceSubjects(verb, name, id).map((subject) =>
      network.subscribe(subject, ({ replyTo }) => {
        if (replyTo !== undefined) network.publish({ subject: replyTo, payload: JSON.stringify(answers[verb]()) });
      }),
    ),
  );
  return { drain: async () => void (await Promise.all(subscriptions.map((each) => each.drain()))) };
}

function endpointStats({ name, subject, queue, requests, errors, processingUs, lastError, data }: EndpointStatistics) {
  return {
    name,
    subject,
    queue_group: queue,
    num_requests: requests,
    num_errors: errors,
    last_error: lastError,
    processing_time: Math.round(processingUs * NS_PER_US),
    average_processing_time: requests === 0 ? 0 : Math.round((processingUs * NS_PER_US) / requests),
    ...(data === undefined ? {} : { data: data() }),
  };
}
