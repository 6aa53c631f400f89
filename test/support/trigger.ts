/** Triggers on a real server, front ends that answer as a test wishes, and mappings written as the control plane writes them. */
import { randomUUID } from "node:crypto";
import { headers, type Msg, type NatsConnection } from "nats";
import { pino } from "pino";
import { Component } from "../../actors/bus/component.ts";
import { natsNetwork } from "../../actors/bus/nats.ts";
import { systemClock } from "../../actors/bus/port.ts";
import { natsQueues } from "../../actors/bus/queues.ts";
import { natsSources } from "../../actors/bus/sources.ts";
import { openStorage, type Storage } from "../../actors/bus/storage.ts";
import { startTrigger } from "../../actors/trigger/index.ts";
import { EventCall, RunEvent } from "../../subjects/async.ts";
import { EVENT_CALL } from "../../subjects/headers.ts";
import { MappingRecord, mappingKey } from "../../subjects/mapping.ts";
import { DEFAULT_ACCOUNT } from "../../subjects/tokens.ts";
import type { TestServer } from "./nats.ts";

export const mapping = (source: MappingRecord["source"], change: Partial<MappingRecord> = {}): MappingRecord => ({
  acct: DEFAULT_ACCOUNT,
  uuid: randomUUID(),
  fn: "orders",
  source,
  batchSize: 10,
  windowSeconds: 0,
  filters: [],
  reportsItemFailures: false,
  bisects: false,
  maxRetryAttempts: -1,
  maxRecordAgeSeconds: -1,
  inOrder: false,
  enabled: true,
  state: "Creating",
  stateReason: "User action",
  lastProcessingResult: "No records processed",
  modifiedAt: 0,
  ...change,
});

export interface RunningTrigger extends AsyncDisposable {
  readonly component: Component;
  readonly storage: Storage;
  readonly connection: NatsConnection;
}

export async function runTrigger(server: TestServer, { hasCronSchedules = true } = {}): Promise<RunningTrigger> {
  const connection = await server.connect();
  const storage = await openStorage(connection, { replicas: 1 });
  const component = new Component({
    name: "mayfly-trigger",
    id: `trigger-${randomUUID().slice(0, 8)}`,
    version: "0.0.1",
    description: "under test",
    network: natsNetwork(connection),
    clock: systemClock,
    log: pino({ level: "silent" }),
  });
  await startTrigger({
    component,
    sources: await natsSources(connection, { hasReset: true }),
    queues: await natsQueues(connection),
    triggers: storage.triggers,
    functions: storage.functions,
    leases: storage.leases,
    beatMs: 50,
    region: "us-east-1",
    ids: randomUUID,
    hasCronSchedules,
    backoff: { minMs: 5, maxMs: 20 },
    ackWaitMs: 2000,
    overheadMs: 5000,
  });
  let stopped: Promise<void> | undefined;
  return {
    component,
    storage,
    connection,
    [Symbol.asyncDispose]: () => {
      stopped ??= component.stop();
      return stopped;
    },
  };
}

/** What a fake function is asked, and what it answers. */
export interface Asked {
  readonly call: EventCall;
  readonly fn: string;
  readonly event: { readonly Records: ReadonlyArray<Record<string, unknown> & { readonly messageId: string }> };
}
export interface Answer {
  readonly payload?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Stands where a front end stands, for one function: `answer` may take its time. What was asked is kept in order. */
export function fakeFrontend(
  connection: NatsConnection,
  fn: string,
  answer: (asked: Asked) => Answer | Promise<Answer> = () => ({}),
) {
  const asked: Asked[] = [];
  const waiting: Array<() => void> = [];
  connection.subscribe(RunEvent.subject({ fn }), {
    queue: "frontend",
    callback: (error, message) => {
      if (error === null) void heard(message);
    },
  });
  const heard = async (message: Msg) => {
    const call = EventCall.parse(JSON.parse(message.headers?.get(EVENT_CALL) ?? ""));
    const each = { call, fn: RunEvent.address(message.subject).fn, event: message.json<Asked["event"]>() };
    asked.push(each);
    for (const tell of waiting.splice(0)) tell();
    const { payload = null, headers: said = {} } = await answer(each);
    const sent = headers();
    for (const [name, value] of Object.entries(said)) sent.set(name, value);
    message.respond(JSON.stringify(payload), { headers: sent });
  };
  return {
    asked,
    bodies: () => asked.map(({ event }) => event.Records.map(({ body }) => body)),
    /** Resolves once it is so; looked at with each question. */
    async until(isSo: (asked: readonly Asked[]) => boolean): Promise<void> {
      while (!isSo(asked)) await new Promise<void>((resolve) => waiting.push(resolve));
    },
  };
}

/** Writes a wish and resolves when the record reads as `state` (`undefined`: it is gone). */
export async function reaches(
  { triggers }: Pick<Storage, "triggers">,
  { acct, uuid }: Pick<MappingRecord, "acct" | "uuid">,
  isSo: (record: MappingRecord | undefined) => boolean,
): Promise<MappingRecord | undefined> {
  const key = mappingKey(acct, uuid);
  const reached = Promise.withResolvers<MappingRecord | undefined>();
  const watch = await triggers.watch((entry) => {
    if (entry.key !== key) return;
    const record = entry.value === undefined ? undefined : MappingRecord.parse(entry.value);
    if (isSo(record)) reached.resolve(record);
  });
  const record = await reached.promise;
  watch.stop();
  return record;
}

/** A mapping that works. */
export async function enabled(storage: Storage, record: MappingRecord): Promise<MappingRecord> {
  await storage.triggers.create(mappingKey(record.acct, record.uuid), record);
  await reaches(storage, record, (now) => now?.state === "Enabled");
  return record;
}
