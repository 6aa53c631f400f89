/** All functions of one account, read from the bucket: for what is counted over the whole account. */
import { FunctionRecord, functionKey } from "../../subjects/function.ts";
import type { Bucket } from "../bus/storage.ts";

/** What the operator decides of every account. */
export interface AccountOptions {
  readonly accounts: readonly string[];
  /** Concurrent executions of one account. */
  readonly concurrencyLimit: number;
  readonly region: string;
  /** Private networks, as a.b.c.d/length, that functions may be let into. None unless said. */
  readonly permittedNetworks?: readonly string[];
  /** Runtimes that workers have now, those beside Lambda's included. None, unless somebody looks. */
  readonly offered?: () => readonly string[];
}

const READ_AT_ONCE = 64;

/** Parsed entries of the keys, in their order; keys deleted meanwhile are left out. */
export async function readAll<T>(bucket: Bucket, keys: readonly string[], parse: (value: unknown) => T): Promise<T[]> {
  const found: T[] = [];
  for (let at = 0; at < keys.length; at += READ_AT_ONCE) {
    const entries = await Promise.all(keys.slice(at, at + READ_AT_ONCE).map((key) => bucket.get(key)));
    for (const entry of entries) if (entry !== undefined) found.push(parse(entry.value));
  }
  return found;
}

/** Keys of the account's functions, by name, those being deleted included. */
export const functionKeys = (bucket: Bucket, acct: string): Promise<string[]> => bucket.keys(`${acct}.*`);

/** Those that exist, of all or of the named ones. */
export async function functionsOf(bucket: Bucket, acct: string, fns?: readonly string[]): Promise<FunctionRecord[]> {
  const keys = fns?.map((fn) => functionKey(acct, fn)) ?? (await functionKeys(bucket, acct));
  const records = await readAll(bucket, keys, (value) => FunctionRecord.parse(value));
  return records.filter((record) => record.deletingAt === undefined);
}

/** What functions have reserved together; `fn` is left out. */
export const reservedBy = (records: readonly FunctionRecord[], fn?: string): number =>
  records.reduce((sum, record) => sum + (record.fn === fn ? 0 : (record.reservedConcurrency ?? 0)), 0);
