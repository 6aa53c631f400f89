/** A poller on a real server, with a front end that answers as the test wants. */
import { jetstreamManager } from "@nats-io/jetstream";
import { headers, type Msg, type NatsConnection } from "nats";
import { pino } from "pino";
import { expect, onTestFinished } from "vitest";
import { Component } from "../../actors/bus/component.ts";
import { natsNetwork } from "../../actors/bus/nats.ts";
import { systemClock } from "../../actors/bus/port.ts";
import { natsQueues } from "../../actors/bus/queues.ts";
import { openStorage } from "../../actors/bus/storage.ts";
import { type PollerOptions, startPoller } from "../../actors/poller/index.ts";
import type { Counters, Totals } from "../../actors/poller/tally.ts";
import { EventCall, RunEvent, UserAsync } from "../../subjects/async.ts";
import { type FunctionRecord, functionKey } from "../../subjects/function.ts";
import { ERROR, ERROR_CODE, EVENT_CALL, FUNCTION_ERROR } from "../../subjects/headers.ts";
import { Inspect } from "../../subjects/state.ts";
import { ASYNC_STREAMS, RETRY_STREAM } from "../../subjects/streams.ts";
import { DEFAULT_ACCOUNT } from "../../subjects/tokens.ts";
import { startRestartableServer, type TestServer } from "./nats.ts";

export const ACK_WAIT_MS = 1000;

/** An attempt that a front end is asked for, and what it may say. */
export interface Run {
  readonly fn: string;
  readonly call: EventCall;
  readonly payload: string;
  ok(payload?: string): void;
  fail(): void;
  refuse(code: number, name: string): void;
}

/** A server whose front end does with each attempt what the test wants. */
export async function setting(ran: (run: Run) => void, functions: readonly FunctionRecord[] = []) {
  const server = await startRestartableServer();
  onTestFinished(() => server[Symbol.asyncDispose]());
  const nats = await server.connect();
  const storage = await openStorage(nats, { replicas: 1, asyncDepth: 1000 });
  for (const record of functions) await storage.functions.put(functionKey(record.acct, record.fn), record);
  nats.subscribe(RunEvent.subject(), { queue: "frontend", callback: (_, message) => ran(runFrom(message)) });
  await nats.flush();
  const publish = (fn: string, payload: string) =>
    nats.request(UserAsync.subject({ fn }), payload, { timeout: 2000 }).then((ack) => ack.json<{ stream: string }>());
  const left = async () => {
    const { streams } = await jetstreamManager(nats);
    const infos = await Promise.all([...ASYNC_STREAMS, RETRY_STREAM].map((stream) => streams.info(stream)));
    return infos.reduce((sum, { state }) => sum + state.messages, 0);
  };
  return { server, nats, publish, left };
}

export function runFrom(message: Msg): Run {
  const answer = (payload: string, pairs: Record<string, string> = {}) => {
    const sent = headers();
    for (const [name, value] of Object.entries(pairs)) sent.set(name, value);
    message.respond(payload, { headers: sent });
  };
  return {
    fn: RunEvent.address(message.subject).fn,
    call: EventCall.parse(JSON.parse(message.headers?.get(EVENT_CALL) ?? "")),
    payload: message.string(),
    ok: (payload = "{}") => answer(payload),
    fail: () => answer('{"errorType":"E","errorMessage":"no"}', { [FUNCTION_ERROR]: "Unhandled" }),
    refuse: (code, name) => answer("{}", { [ERROR_CODE]: String(code), [ERROR]: `${name}: no` }),
  };
}

/** One poller with a connection of its own; `kill` takes it away without a word. */
export async function poller(server: TestServer, change: Partial<PollerOptions> = {}, log = pino({ level: "silent" })) {
  const connection: NatsConnection = await server.connect();
  const component = new Component({
    network: natsNetwork(connection),
    clock: systemClock,
    log,
    name: "mayfly-poller",
    id: `poller-${Math.random().toString(36).slice(2)}`,
    version: "0.0.0",
    description: "",
  });
  const { functions } = await openStorage(connection, { replicas: 1, asyncDepth: 1000 });
  const started = await startPoller({
    component,
    functions,
    queues: await natsQueues(connection),
    accounts: [DEFAULT_ACCOUNT],
    region: "us-east-1",
    standard: { concurrency: 4, retryDelaysMs: [200], backoffMs: { min: 100, max: 400 } },
    hasSchedules: true,
    ackWaitMs: ACK_WAIT_MS,
    overheadMs: 5000,
    countMs: 200,
    idleMs: 1000,
    ...change,
  });
  const totals = async () => {
    const subject = Inspect.subject({ actor: "poller", id: component.id });
    const reply = await connection.request(subject, "", { timeout: 2000 });
    return reply.json<Totals & { counted: Counters; functions: Record<string, Counters> }>();
  };
  return { ...started, totals, stop: () => component.stop(), kill: () => connection.close() };
}

export const until = (what: () => unknown) => expect.poll(what, { timeout: 10_000, interval: 20 });
