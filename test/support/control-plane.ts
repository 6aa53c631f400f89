/** A control plane on a real server, and a person who talks to it as the `nats` CLI does. */
import { randomUUID } from "node:crypto";
import { headers, type NatsConnection } from "nats";
import { pino } from "pino";
import { Component } from "../../actors/bus/component.ts";
import { natsNetwork } from "../../actors/bus/nats.ts";
import { systemClock } from "../../actors/bus/port.ts";
import { openStorage, type Storage } from "../../actors/bus/storage.ts";
import { startControlPlane } from "../../actors/control-plane/index.ts";
import { UserApi } from "../../subjects/api.ts";
import { ERROR } from "../../subjects/headers.ts";
import { DEFAULT_ACCOUNT } from "../../subjects/tokens.ts";
import type { TestServer } from "./nats.ts";

export const ACCOUNT = { accounts: [DEFAULT_ACCOUNT], concurrencyLimit: 1000, region: "us-east-1" };
export const ROLE = `arn:aws:iam::${DEFAULT_ACCOUNT}:role/test`;
export const arn = (fn: string): string => `arn:aws:lambda:us-east-1:${DEFAULT_ACCOUNT}:function:${fn}`;

export interface RunningControlPlane extends AsyncDisposable {
  readonly component: Component;
  readonly storage: Storage;
  readonly connection: NatsConnection;
}

export async function runControlPlane(
  server: TestServer,
  {
    concurrencyLimit = ACCOUNT.concurrencyLimit,
    changed = (storage: Storage): Storage => storage,
    patienceMs = 5000,
    permittedNetworks = [] as readonly string[],
  } = {},
): Promise<RunningControlPlane> {
  const connection = await server.connect();
  const storage = changed(await openStorage(connection, { replicas: 1 }));
  const component = new Component({
    name: "control-plane",
    id: randomUUID().slice(0, 8),
    version: "0.0.1",
    description: "under test",
    network: natsNetwork(connection),
    clock: systemClock,
    log: pino({ level: "silent" }),
  });
  await startControlPlane({
    component,
    storage,
    account: { ...ACCOUNT, concurrencyLimit, permittedNetworks },
    ids: randomUUID,
    patienceMs,
  });
  await connection.flush();
  return { component, storage, connection, [Symbol.asyncDispose]: () => component.stop() };
}

/** What came back: the error's name, if it was refused, and the JSON. */
export interface Answer {
  readonly error: string | undefined;
  readonly body: Record<string, unknown>;
}

export type Call = (operation: string, body?: object) => Promise<Answer>;

/** Calls operations under the subject a person types. */
export function caller(connection: NatsConnection): Call {
  return async (operation, body = {}) => {
    const subject = UserApi.subject({ operation });
    const reply = await connection.request(subject, JSON.stringify(body), { timeout: 20_000, headers: headers() });
    const error = reply.headers?.get(ERROR).split(": ")[0];
    return { error: error === "" ? undefined : error, body: reply.json() };
  };
}

/** As `call`, for what must succeed. */
export function expecting(call: Call): (operation: string, body?: object) => Promise<Record<string, unknown>> {
  return async (operation, body) => {
    const { error, body: answer } = await call(operation, body);
    if (error !== undefined) throw new Error(`${operation}: ${error}: ${JSON.stringify(answer)}`);
    return answer;
  };
}

/** Asks until the function is at rest, as Lambda's own waiters do, only without a pause in between. */
export async function atRest(call: Call, fn: string): Promise<Record<string, unknown>> {
  for (;;) {
    const { error, body } = await call("GetFunctionConfiguration", { FunctionName: fn });
    if (error !== undefined) throw new Error(`${fn}: ${error}: ${JSON.stringify(body)}`);
    if (body.State !== "Pending" && body.LastUpdateStatus !== "InProgress") return body;
  }
}
