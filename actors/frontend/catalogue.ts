/**
 * The functions a front end may invoke: a copy of the FUNCTIONS bucket, kept current by watching it. What is not in the
 * copy is read from the bucket before it is refused, so that a function can be invoked the moment it was created.
 */

import { isToken } from "../../subjects/contract.ts";
import type { EgressConfig } from "../../subjects/egress.ts";
import { Refused } from "../../subjects/errors.ts";
import {
  aliasOf,
  FunctionConfiguration,
  FunctionRecord,
  FunctionSpec,
  functionKey,
  poolId,
  specOf,
  versionKey,
} from "../../subjects/function.ts";
import { LATEST } from "../../subjects/tokens.ts";
import type { Bucket, Entry } from "../bus/storage.ts";

export interface Catalogue {
  /** From the copy; `undefined` when it isn't there. */
  find(acct: string, fn: string, qualifier: string | undefined): FunctionSpec | undefined;
  /** From the bucket. Throws a `Refused` that says what is missing. */
  look(acct: string, fn: string, qualifier: string | undefined): Promise<FunctionSpec>;
  stop(): void;
}

/** Resolves when the copy is complete. `superseded` hears the pools that no invoke goes to any more. */
export async function openCatalogue(
  functions: Bucket,
  region: string,
  superseded: (poolId: string) => void,
): Promise<Catalogue> {
  const records = new Map<string, FunctionRecord>();
  /** Of published versions. */
  const versions = new Map<string, FunctionConfiguration>();
  const specs = new Map<string, FunctionSpec>();

  const serve = (key: string, spec: FunctionSpec | undefined) => {
    const before = specs.get(key);
    if (spec === undefined) specs.delete(key);
    else specs.set(key, spec);
    if (before !== undefined && (spec === undefined || poolId(before) !== poolId(spec))) superseded(poolId(before));
  };
  const take = ({ key, value }: Entry) => {
    const [acct = "", fn = "", version] = key.split(".");
    if (version !== undefined) {
      const parsed = FunctionConfiguration.safeParse(value);
      if (!parsed.success) versions.delete(key);
      else versions.set(key, parsed.data);
      // How it runs is said by the function's record too: one that comes before it waits for it.
      const record = records.get(functionKey(acct, fn));
      return serve(key, record && parsed.success ? specFrom(acct, parsed.data, record.egress) : undefined);
    }
    const before = records.get(key);
    const parsed = FunctionRecord.safeParse(value);
    const record = parsed.success && parsed.data.deletingAt === undefined ? parsed.data : undefined;
    if (record === undefined) records.delete(key);
    else records.set(key, record);
    serve(key, record?.serving === undefined ? undefined : specFrom(acct, record.serving, record.egress));
    if (record === undefined) return;
    if (before !== undefined && record.egress?.RevisionId === before.egress?.RevisionId) return;
    // Egress is the function's: a change of it is one of every version.
    for (const each of record.versions) {
      const published = versions.get(versionKey(acct, fn, each));
      if (published !== undefined) serve(versionKey(acct, fn, each), specFrom(acct, published, record.egress));
    }
  };
  const find: Catalogue["find"] = (acct, fn, qualifier) => {
    const key = functionKey(acct, fn);
    if (qualifier === undefined || qualifier === LATEST) return specs.get(key);
    const record = records.get(key);
    const version = (record && aliasOf(record, qualifier)?.FunctionVersion) ?? qualifier;
    if (version === LATEST) return specs.get(key);
    return record?.versions.includes(version) ? specs.get(versionKey(acct, fn, version)) : undefined;
  };
  const arn = (acct: string, fn: string, qualifier: string | undefined) =>
    `arn:aws:lambda:${region}:${acct}:function:${fn}${qualifier === undefined ? "" : `:${qualifier}`}`;

  let stop = () => {};
  await new Promise<void>((upToDate, failed) => {
    functions.watch(take, upToDate).then((watch) => {
      stop = () => watch.stop();
    }, failed);
  });
  return {
    find,
    async look(acct, fn, qualifier) {
      // The bucket would call it an illegal key; no function and no version has such a name.
      if (![fn, qualifier ?? LATEST].every((name) => name === LATEST || isToken(name))) {
        throw whyNot(undefined, arn(acct, fn, qualifier));
      }
      const entry = await functions.get(functionKey(acct, fn));
      if (entry !== undefined) take(entry);
      if (qualifier !== undefined && qualifier !== LATEST && entry !== undefined) {
        const record = records.get(entry.key);
        const version = (record && aliasOf(record, qualifier)?.FunctionVersion) ?? qualifier;
        const published = await functions.get(versionKey(acct, fn, version));
        if (published !== undefined) take(published);
      }
      const spec = find(acct, fn, qualifier);
      if (spec !== undefined) return spec;
      throw whyNot(records.get(functionKey(acct, fn)), arn(acct, fn, qualifier));
    },
    stop: () => stop(),
  };
}

/** What nobody could run, because somebody else wrote it into the bucket, isn't served. */
function specFrom(
  acct: string,
  configuration: FunctionConfiguration,
  egress: EgressConfig | undefined,
): FunctionSpec | undefined {
  const parsed = FunctionSpec.safeParse(specOf(acct, configuration, egress));
  return parsed.success ? parsed.data : undefined;
}

function whyNot(record: FunctionRecord | undefined, arn: string): Refused {
  if (record === undefined || record.serving !== undefined) {
    return new Refused("ResourceNotFoundException", `Function not found: ${arn}`);
  }
  const text = `The operation cannot be performed at this time. The function is currently in the following state: ${record.configuration.State}`;
  return new Refused("ResourceConflictException", text);
}
