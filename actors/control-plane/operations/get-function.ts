/**
 * What is asked of one function without changing it: GetFunction, GetFunctionConfiguration, GetFunctionConcurrency,
 * GetFunctionEventInvokeConfig, GetFunctionQueueConfig, GetFunctionEgressConfig, GetAlias, ListTags. Answered straight
 * from the bucket. Source: Lambda API reference and recorded answers of Lambda
 */
import { type Refusal, Refused } from "../../../subjects/errors.ts";
import {
  aliasOf,
  FunctionConfiguration,
  FunctionRecord,
  functionKey,
  shown,
  versionKey,
} from "../../../subjects/function.ts";
import { CODE_BUCKET } from "../../../subjects/streams.ts";
import { LATEST } from "../../../subjects/tokens.ts";
import type { Bucket } from "../../bus/storage.ts";
import { functionNotFound } from "../refusals.ts";
import type { Constraints } from "../validation/constraints.ts";
import { arnOf, type Caller, functionNamed, unqualified } from "../validation/names.ts";
import { aliasBody, readAliasName } from "./aliases.ts";
import { FUNCTIONS_ONLY } from "./concurrency.ts";
import { egressBody } from "./egress.ts";
import { eventInvokeBody, eventInvokeOf, noEventInvokeConfig, noFunction } from "./event-invoke.ts";
import { queueBody } from "./queue.ts";
import { taggedFunction } from "./tags.ts";

export interface Reading {
  readonly check: Constraints;
  readonly caller: Caller;
  readonly functions: Bucket;
  readonly layers: Bucket;
}

export async function getFunction({ check, caller, functions }: Reading): Promise<object> {
  const named = functionNamed(check, caller);
  const { record, configuration } = await qualified(functions, caller, named);
  const { tags, reservedConcurrency } = record;
  const sha256 = Buffer.from(configuration.CodeSha256, "base64").toString("hex");
  return {
    Configuration: shown(configuration),
    Code: { RepositoryType: "S3", Location: `nats-obj://${CODE_BUCKET}/${sha256}` },
    ...(Object.keys(tags).length === 0 ? {} : { Tags: tags }),
    ...(reservedConcurrency === undefined
      ? {}
      : { Concurrency: { ReservedConcurrentExecutions: reservedConcurrency } }),
  };
}

export async function getFunctionConfiguration({ check, caller, functions }: Reading): Promise<object> {
  return shown((await qualified(functions, caller, functionNamed(check, caller))).configuration);
}

export async function getFunctionConcurrency({ check, caller, functions }: Reading): Promise<object> {
  const fn = unqualified(check, caller, FUNCTIONS_ONLY);
  const refused = functionNotFound(`${arnOf(caller, fn)}:${LATEST}`);
  const { reservedConcurrency } = await existing(functions, caller.acct, fn, refused);
  return reservedConcurrency === undefined ? {} : { ReservedConcurrentExecutions: reservedConcurrency };
}

export async function getEventInvokeConfig({ check, caller, functions }: Reading): Promise<object> {
  const { fn, qualifier = LATEST } = functionNamed(check, caller);
  const record = await existing(functions, caller.acct, fn, noFunction());
  const arn = arnOf(caller, fn);
  const config = eventInvokeOf(record, qualifier);
  if (config !== undefined) return eventInvokeBody(arn, qualifier, config);
  const { name, message } = noEventInvokeConfig(arn, qualifier);
  throw new Refused(name, message);
}

export async function getQueueConfig({ check, caller, functions }: Reading): Promise<object> {
  const fn = unqualified(check, caller, FUNCTIONS_ONLY);
  return queueBody(await existing(functions, caller.acct, fn, functionNotFound(arnOf(caller, fn))));
}

export async function getEgressConfig({ check, caller, functions }: Reading): Promise<object> {
  const fn = unqualified(check, caller, FUNCTIONS_ONLY);
  return egressBody(await existing(functions, caller.acct, fn, functionNotFound(arnOf(caller, fn))));
}

export async function getAlias({ check, caller, functions }: Reading): Promise<object> {
  const { fn, alias } = readAliasName(check, caller);
  check.done();
  const arn = arnOf(caller, fn);
  const record = await existing(functions, caller.acct, fn, functionNotFound(arn));
  const found = aliasOf(record, alias);
  if (found === undefined) throw new Refused("ResourceNotFoundException", `Cannot find alias arn: ${arn}:${alias}`);
  return aliasBody(arn, found);
}

export async function listTags({ check, caller, functions }: Reading): Promise<object> {
  const fn = taggedFunction(check, caller);
  const record = await existing(functions, caller.acct, fn, functionNotFound(arnOf(caller, fn)));
  return { Tags: record.tags };
}

/** The record of a function that exists. Throws `Refused` with what is given. */
export async function existing(functions: Bucket, acct: string, fn: string, refused: Refusal): Promise<FunctionRecord> {
  const entry = await functions.get(functionKey(acct, fn));
  const record = entry === undefined ? undefined : FunctionRecord.parse(entry.value);
  if (record === undefined || record.deletingAt !== undefined) throw new Refused(refused.name, refused.message);
  return record;
}

/** What a qualifier stands for. Whoever gave one gets it back in the ARN, an alias's name included. */
async function qualified(
  functions: Bucket,
  caller: Caller,
  { fn, qualifier }: { fn: string; qualifier: string | undefined },
): Promise<{ record: FunctionRecord; configuration: FunctionConfiguration }> {
  const arn = qualifier === undefined ? arnOf(caller, fn) : `${arnOf(caller, fn)}:${qualifier}`;
  const refused = functionNotFound(arn);
  const record = await existing(functions, caller.acct, fn, refused);
  const version = qualifier === undefined ? LATEST : (aliasOf(record, qualifier)?.FunctionVersion ?? qualifier);
  if (version === LATEST) return { record, configuration: { ...record.configuration, FunctionArn: arn } };
  const entry = record.versions.includes(version)
    ? await functions.get(versionKey(caller.acct, fn, version))
    : undefined;
  if (entry === undefined) throw new Refused(refused.name, refused.message);
  return { record, configuration: { ...FunctionConfiguration.parse(entry.value), FunctionArn: arn } };
}
