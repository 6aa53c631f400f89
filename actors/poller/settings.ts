/**
 * What a poller knows of the functions: how their events are handled, from a copy of the FUNCTIONS bucket that is kept
 * current by watching it. Whether a function exists isn't decided here; a front end says so.
 */
import { aliasOf, FunctionConfiguration, FunctionRecord, functionKey, versionKey } from "../../subjects/function.ts";
import { LATEST } from "../../subjects/tokens.ts";
import type { Bucket } from "../bus/storage.ts";
import type { Rules } from "./policy.ts";

/** What holds where a function doesn't say otherwise. */
export interface Standard {
  readonly concurrency: number;
  readonly retryDelaysMs: Rules["retryDelaysMs"];
  readonly backoffMs: Rules["backoffMs"];
}

export interface Destinations {
  readonly onSuccess: string | undefined;
  readonly onFailure: string | undefined;
  /** The function's own DeadLetterConfig, whatever the qualifier. */
  readonly deadLetters: string | undefined;
}

export interface Settings {
  rules(acct: string, fn: string, qualifier: string | undefined): Rules;
  destinations(acct: string, fn: string, qualifier: string | undefined): Destinations;
  queue(acct: string, fn: string): { readonly limit: number; readonly isPaused: boolean };
  /** The function's own timeout; `undefined` when it isn't known. */
  timeoutMs(acct: string, fn: string, qualifier: string | undefined): number | undefined;
  stop(): void;
}

/** Source: Lambda API reference, PutFunctionEventInvokeConfig. */
const RETRIES = 2;
const MAX_AGE_S = 21_600;

/** Resolves when the copy is complete. `changed` hears of every function that is in it, and of every change. */
export async function openSettings(
  functions: Bucket,
  standard: Standard,
  changed: (acct: string, fn: string, queue: ReturnType<Settings["queue"]>) => void,
): Promise<Settings> {
  const records = new Map<string, FunctionRecord>();
  const timeouts = new Map<string, number>();
  const take = (key: string, value: unknown) => {
    const [acct = "", fn = "", version] = key.split(".");
    if (version !== undefined) {
      const parsed = FunctionConfiguration.safeParse(value);
      if (parsed.success) timeouts.set(key, parsed.data.Timeout * 1000);
      else timeouts.delete(key);
      return;
    }
    const parsed = FunctionRecord.safeParse(value);
    if (parsed.success && parsed.data.deletingAt === undefined) records.set(key, parsed.data);
    else records.delete(key);
    changed(acct, fn, queue(acct, fn));
  };
  const recordOf = (acct: string, fn: string) => records.get(functionKey(acct, fn));
  const configOf = (acct: string, fn: string, qualifier = LATEST) => {
    const configs = recordOf(acct, fn)?.eventInvoke ?? {};
    return Object.hasOwn(configs, qualifier) ? configs[qualifier] : undefined;
  };
  const queue: Settings["queue"] = (acct, fn) => {
    const record = recordOf(acct, fn);
    const wished = record?.queue.MaximumConcurrency ?? standard.concurrency;
    // More than the function may run at all would only be throttled; a closed one's events end at once.
    const limit = Math.max(1, Math.min(wished, record?.reservedConcurrency ?? wished));
    return { limit, isPaused: record?.queue.Paused ?? false };
  };
  let stop = () => {};
  await new Promise<void>((upToDate, failed) => {
    functions
      .watch(({ key, value }) => take(key, value), upToDate)
      .then((watch) => {
        stop = () => watch.stop();
      }, failed);
  });
  return {
    rules(acct, fn, qualifier) {
      const config = configOf(acct, fn, qualifier);
      return {
        retries: config?.MaximumRetryAttempts ?? RETRIES,
        maxAgeMs: (config?.MaximumEventAgeInSeconds ?? MAX_AGE_S) * 1000,
        isClosed: recordOf(acct, fn)?.reservedConcurrency === 0,
        retryDelaysMs: standard.retryDelaysMs,
        backoffMs: standard.backoffMs,
      };
    },
    destinations(acct, fn, qualifier) {
      const config = configOf(acct, fn, qualifier)?.DestinationConfig;
      return {
        onSuccess: config?.OnSuccess.Destination,
        onFailure: config?.OnFailure.Destination,
        deadLetters: recordOf(acct, fn)?.configuration.DeadLetterConfig?.TargetArn,
      };
    },
    queue,
    timeoutMs(acct, fn, qualifier = LATEST) {
      const record = recordOf(acct, fn);
      if (record === undefined) return undefined;
      const version = aliasOf(record, qualifier)?.FunctionVersion ?? qualifier;
      if (version !== LATEST) return timeouts.get(versionKey(acct, fn, version));
      return record.serving === undefined ? undefined : record.serving.Timeout * 1000;
    },
    stop: () => stop(),
  };
}
