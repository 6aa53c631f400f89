/** Numbered events for a function that fails for every third, and how each of them ended. */
import { type JetStreamClient, type JsMsg, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { ClosedConnectionError, type NatsConnection } from "nats";
import { UserAsync } from "../../subjects/async.ts";
import { DEAD_REASON, ERROR_MESSAGE, ERROR_TYPE } from "../../subjects/headers.ts";
import { Log } from "../../subjects/logs.ts";
import { DEAD_STREAM, LOGS_STREAM } from "../../subjects/streams.ts";
import { api, deploy } from "./functions.ts";

const FILES = {
  "index.mjs": `export const handler = async ({ n }) => {
    console.log("ran " + n);
    if (n % 3 === 0) throw new Error("no " + n);
    return { n };
  };\n`,
};
const DONE_STREAM = "DONE";

export interface Ends {
  /** The numbers of the events that succeeded and of those that are dead letters, repetitions included. */
  readonly succeeded: readonly number[];
  readonly dead: readonly number[];
  /** What a dead letter says of itself, by its number. */
  readonly why: ReadonlyMap<number, string>;
}

/** Deploys the function; its successes are told to a stream. */
export async function deployThirds(nats: NatsConnection, replicas = 1): Promise<void> {
  await deploy(nats, { name: "thirds", files: FILES });
  const { streams } = await jetstreamManager(nats);
  await streams.add({ name: DONE_STREAM, subjects: ["done.>"], num_replicas: replicas });
  await api(nats, "PutFunctionEventInvokeConfig", {
    FunctionName: "thirds",
    DestinationConfig: { OnSuccess: { Destination: `arn:aws:nats:::stream/${DONE_STREAM}/done.thirds` } },
  });
}

/**
 * Resolves when the event is stored, however often it has to be sent: its id keeps a repetition from counting twice.
 * Rejects once the connection is closed, as it is when the test is over.
 */
export async function accepted(client: JetStreamClient, n: number): Promise<void> {
  for (;;) {
    const ack = await client
      .publish(UserAsync.subject({ fn: "thirds" }), JSON.stringify({ n }), { msgID: `event-${n}`, timeout: 1000 })
      .catch((error: unknown) => {
        if (error instanceof ClosedConnectionError) throw error;
      });
    if (ack !== undefined) return;
  }
}

export async function howManyEnded(nats: NatsConnection): Promise<number> {
  const { streams } = await jetstreamManager(nats);
  const counts = await Promise.all([DONE_STREAM, DEAD_STREAM].map((name) => streams.info(name)));
  return counts.reduce((sum, { state }) => sum + state.messages, 0);
}

export async function endsOf(nats: NatsConnection): Promise<Ends> {
  const succeeded: number[] = [];
  for await (const message of messagesIn(nats, DONE_STREAM)) {
    succeeded.push(message.json<{ requestPayload: { n: number } }>().requestPayload.n);
  }
  const dead: number[] = [];
  const why = new Map<number, string>();
  for await (const message of messagesIn(nats, DEAD_STREAM)) {
    const { n } = message.json<{ n: number }>();
    dead.push(n);
    why.set(n, [DEAD_REASON, ERROR_TYPE, ERROR_MESSAGE].map((name) => message.headers?.get(name)).join(" "));
  }
  return { succeeded, dead, why };
}

/** Attempts beyond those an event takes (one, or three where it fails), as far as their log lines got through. */
export async function superfluousRuns(nats: NatsConnection): Promise<number> {
  const runs = new Map<number, number>();
  for await (const message of messagesIn(nats, LOGS_STREAM, Log.subject({ fn: "thirds" }))) {
    const [, n] = /\bran (\d+)/.exec(message.string()) ?? [];
    if (n !== undefined) runs.set(Number(n), (runs.get(Number(n)) ?? 0) + 1);
  }
  return [...runs].reduce((sum, [n, times]) => sum + Math.max(0, times - (n % 3 === 0 ? 3 : 1)), 0);
}

async function* messagesIn(nats: NatsConnection, stream: string, subject = ">"): AsyncGenerator<JsMsg> {
  const consumer = await jetstream(nats).consumers.get(stream, { filter_subjects: subject });
  if ((await consumer.info()).num_pending === 0) return;
  for await (const message of await consumer.consume()) {
    yield message;
    if (message.info.pending === 0) return;
  }
}

/** Those of which nothing is known. */
export function missing({ succeeded, dead }: Ends, events: number): number[] {
  const known = new Set([...succeeded, ...dead]);
  return Array.from({ length: events }, (_, n) => n).filter((n) => !known.has(n));
}

export const toldTwice = ({ succeeded, dead }: Ends): number =>
  succeeded.length - new Set(succeeded).size + dead.length - new Set(dead).size;
