/** How a function's asynchronous events are handled: the options of `mayfly config set` for it, and applying them. */
import { type Command, InvalidArgumentError } from "commander";
import { z } from "zod";
import { Refused } from "../subjects/errors.ts";
import { Configuration, callApi } from "./api.ts";
import { count, seconds } from "./durations.ts";
import { DESTINATION_WORDS, destinationFrom } from "./event-places.ts";
import { Misused } from "./failure.ts";
import type { Session } from "./session.ts";

export interface EventFlags {
  readonly retries?: number;
  readonly maxAge?: number;
  readonly onSuccess?: string;
  readonly onFailure?: string;
  readonly asyncConcurrency?: number;
}

/** What `unset` takes back to the default. */
export const EVENT_KEYS = ["retries", "max-age", "on-success", "on-failure", "async-concurrency"] as const;
export type EventKey = (typeof EVENT_KEYS)[number];

/** What `config` tells of it; parts that nobody asked about are absent. */
export interface EventSettings {
  readonly events?: unknown;
  readonly queue?: unknown;
}

const Config = z
  .object({
    MaximumRetryAttempts: z.number().optional(),
    MaximumEventAgeInSeconds: z.number().optional(),
    DestinationConfig: z.object({ OnSuccess: z.object({}).loose(), OnFailure: z.object({}).loose() }),
  })
  .loose();

export const withEventOptions = (command: Command): Command =>
  command
    .option("--retries <n>", "asynchronous: more attempts after an error of the function, 0 to 2", upToTwo)
    .option("--max-age <duration>", "asynchronous: an event older than this is given up, 60s to 6h", seconds)
    .option("--on-success <destination>", "asynchronous: where an event's result goes")
    .option("--on-failure <destination>", `asynchronous: where a dead event goes: ${DESTINATION_WORDS}`)
    .option("--async-concurrency <n>", "asynchronous: events at the same time; 0: the default", count);

/** `target` is a function's name, or name:qualifier. Settings that aren't given stay. */
export async function setEvents(session: Session, target: string, flags: EventFlags): Promise<EventSettings> {
  const { retries, maxAge, onSuccess, onFailure, asyncConcurrency } = flags;
  const change = {
    ...(retries === undefined ? {} : { MaximumRetryAttempts: retries }),
    ...(maxAge === undefined ? {} : { MaximumEventAgeInSeconds: maxAge }),
    ...(onSuccess === undefined && onFailure === undefined
      ? {}
      : { DestinationConfig: await destinations(session, target, { onSuccess, onFailure }) }),
  };
  const events = Object.keys(change).length === 0 ? undefined : await updateOrPut(session, target, change);
  if (asyncConcurrency === undefined) return events === undefined ? {} : { events };
  const queue = await putQueue(session, target, asyncConcurrency);
  return { ...(events === undefined ? {} : { events }), queue };
}

/** Back to the defaults. */
export async function unsetEvents(session: Session, target: string, keys: readonly EventKey[]): Promise<EventSettings> {
  const queue = keys.includes("async-concurrency") ? { queue: await putQueue(session, target, 0) } : {};
  const which = { FunctionName: target };
  const before = keys.some((key) => key !== "async-concurrency")
    ? await callApi(session, "GetFunctionEventInvokeConfig", which).catch(nothingIfMissing)
    : undefined;
  if (before === undefined) return queue;
  const { MaximumRetryAttempts, MaximumEventAgeInSeconds, DestinationConfig } = Config.parse(before);
  const { OnSuccess, OnFailure } = DestinationConfig;
  const left = {
    ...(MaximumRetryAttempts === undefined || keys.includes("retries") ? {} : { MaximumRetryAttempts }),
    ...(MaximumEventAgeInSeconds === undefined || keys.includes("max-age") ? {} : { MaximumEventAgeInSeconds }),
    ...(isEmpty(OnSuccess) || keys.includes("on-success") ? {} : { OnSuccess }),
    ...(isEmpty(OnFailure) || keys.includes("on-failure") ? {} : { OnFailure }),
  };
  if (isEmpty(left)) {
    await callApi(session, "DeleteFunctionEventInvokeConfig", which);
    return { events: {}, ...queue };
  }
  const { OnSuccess: success, OnFailure: failure, ...limits } = left;
  const sides = { ...(success && { OnSuccess: success }), ...(failure && { OnFailure: failure }) };
  const body = { ...which, ...limits, ...(isEmpty(sides) ? {} : { DestinationConfig: sides }) };
  return { events: await callApi(session, "PutFunctionEventInvokeConfig", body), ...queue };
}

async function updateOrPut(session: Session, target: string, change: object): Promise<unknown> {
  const body = { FunctionName: target, ...change };
  const updated = await callApi(session, "UpdateFunctionEventInvokeConfig", body).catch(nothingIfMissing);
  // Where there was none yet; a function that doesn't exist is refused by this one too.
  return updated ?? callApi(session, "PutFunctionEventInvokeConfig", body);
}

async function putQueue(session: Session, target: string, MaximumConcurrency: number): Promise<unknown> {
  if (target.includes(":")) throw new Misused("the queue is the function's: name it without a version or an alias");
  return callApi(session, "PutFunctionQueueConfig", { FunctionName: target, MaximumConcurrency });
}

async function destinations(
  session: Session,
  target: string,
  { onSuccess, onFailure }: { onSuccess: string | undefined; onFailure: string | undefined },
): Promise<object> {
  const { FunctionArn = "" } = Configuration.parse(
    await callApi(session, "GetFunctionConfiguration", { FunctionName: target }),
  );
  const side = (text: string) => {
    const Destination = destinationFrom(text, FunctionArn);
    return Destination === "" ? {} : { Destination };
  };
  return {
    ...(onSuccess === undefined ? {} : { OnSuccess: side(onSuccess) }),
    ...(onFailure === undefined ? {} : { OnFailure: side(onFailure) }),
  };
}

const isEmpty = (value: object): boolean => Object.keys(value).length === 0;

function nothingIfMissing(error: unknown): undefined {
  if (error instanceof Refused && error.refusal.name === "ResourceNotFoundException") return undefined;
  throw error;
}

function upToTwo(text: string): number {
  if (!/^[0-2]$/.test(text)) throw new InvalidArgumentError("It must be 0, 1 or 2.");
  return Number(text);
}
