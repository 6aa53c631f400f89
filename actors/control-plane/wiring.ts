/**
 * The control plane's whole relation to the network: every operation of the Lambda API by its name. What changes a
 * function is a command for its machine; what only looks, wishes about event source mappings, and layers, which have no
 * life of their own, are answered from the buckets; any other name is refused.
 */
import { Api } from "../../subjects/api.ts";
import { Refused } from "../../subjects/errors.ts";
import type { InForce } from "../bus/in-force.ts";
import type { Question, Responds } from "../bus/responder.ts";
import type { Bucket } from "../bus/storage.ts";
import { hearRaw, type Wiring } from "../bus/wiring.ts";
import type { AccountOptions } from "./account.ts";
import type { Command, Wish } from "./commands.ts";
import type { Surroundings } from "./effects.ts";
import type { functionMachine } from "./machine.ts";
import { getAccountSettings } from "./operations/account-settings.ts";
import { readCreateAlias, readDeleteAlias, readUpdateAlias } from "./operations/aliases.ts";
import { readDeleteConcurrency, readPutConcurrency } from "./operations/concurrency.ts";
import { readCreateFunction } from "./operations/create-function.ts";
import { readDeleteFunction } from "./operations/delete-function.ts";
import { readPutEgress } from "./operations/egress.ts";
import { readDeleteEventInvoke, readPutEventInvoke, readUpdateEventInvoke } from "./operations/event-invoke.ts";
import {
  createMapping,
  deleteMapping,
  getMapping,
  listMappings,
  type MappingAsked,
  updateMapping,
} from "./operations/event-source-mappings.ts";
import {
  getAlias,
  getEgressConfig,
  getEventInvokeConfig,
  getFunction,
  getFunctionConcurrency,
  getFunctionConfiguration,
  getQueueConfig,
  listTags,
  type Reading,
} from "./operations/get-function.ts";
import { deleteLayerVersion, type LayersAsked, publishLayerVersion } from "./operations/layers.ts";
import { listAliases, listEventInvokeConfigs, listFunctions, listVersions } from "./operations/list-functions.ts";
import { getLayerVersion, getLayerVersionByArn, listLayers, listLayerVersions } from "./operations/list-layers.ts";
import { readPublishVersion } from "./operations/publish-version.ts";
import { readPutQueue } from "./operations/queue.ts";
import { readTagResource, readUntagResource } from "./operations/tags.ts";
import { readUpdateCode, readUpdateConfiguration } from "./operations/update-function.ts";
import { type Request, readRequest } from "./request.ts";
import type { Constraints } from "./validation/constraints.ts";
import { arnOf, type Caller } from "./validation/names.ts";

const QUEUE = "control-plane";
/** A group of its own: members of one group share the messages of all its subjects, and this one hears every operation. */
const QUEUE_OF_THE_UNKNOWN = "control-plane-unknown";

const CHANGES: Readonly<Record<string, (check: Constraints, caller: Caller, account: AccountOptions) => Wish>> = {
  CreateFunction: readCreateFunction,
  UpdateFunctionCode: readUpdateCode,
  UpdateFunctionConfiguration: readUpdateConfiguration,
  DeleteFunction: readDeleteFunction,
  PublishVersion: readPublishVersion,
  CreateAlias: readCreateAlias,
  UpdateAlias: readUpdateAlias,
  DeleteAlias: readDeleteAlias,
  PutFunctionConcurrency: readPutConcurrency,
  DeleteFunctionConcurrency: readDeleteConcurrency,
  PutFunctionEventInvokeConfig: readPutEventInvoke,
  UpdateFunctionEventInvokeConfig: readUpdateEventInvoke,
  DeleteFunctionEventInvokeConfig: readDeleteEventInvoke,
  PutFunctionQueueConfig: readPutQueue,
  PutFunctionEgressConfig: readPutEgress,
  TagResource: readTagResource,
  UntagResource: readUntagResource,
};

const LOOKS: Readonly<Record<string, (reading: Reading, account: AccountOptions) => Promise<object>>> = {
  GetFunction: getFunction,
  GetFunctionConfiguration: getFunctionConfiguration,
  ListFunctions: listFunctions,
  ListVersionsByFunction: listVersions,
  GetAlias: getAlias,
  ListAliases: listAliases,
  GetFunctionConcurrency: getFunctionConcurrency,
  GetFunctionEventInvokeConfig: getEventInvokeConfig,
  ListFunctionEventInvokeConfigs: listEventInvokeConfigs,
  GetFunctionQueueConfig: getQueueConfig,
  GetFunctionEgressConfig: getEgressConfig,
  ListTags: listTags,
  GetAccountSettings: getAccountSettings,
};

/** Wishes about mappings, and looks at them. */
const MAPPINGS: Readonly<Record<string, (asked: MappingAsked) => Promise<object>>> = {
  CreateEventSourceMapping: createMapping,
  GetEventSourceMapping: getMapping,
  UpdateEventSourceMapping: updateMapping,
  DeleteEventSourceMapping: deleteMapping,
  ListEventSourceMappings: listMappings,
};

const LAYERS: Readonly<Record<string, (asked: LayersAsked) => Promise<object>>> = {
  PublishLayerVersion: publishLayerVersion,
  GetLayerVersion: getLayerVersion,
  GetLayerVersionByArn: getLayerVersionByArn,
  ListLayers: listLayers,
  ListLayerVersions: listLayerVersions,
  DeleteLayerVersion: deleteLayerVersion,
};

const OPERATIONS: readonly string[] = [CHANGES, LOOKS, MAPPINGS, LAYERS].flatMap((each) => Object.keys(each));

/** One machine per function: the key is also its id on the wire, so it is a token. */
export const functionId = (acct: string, fn: string): string => `${acct}-${fn}`;

export function commandWiring({ account, ids }: Surroundings): Wiring<typeof functionMachine> {
  return {
    hears: Object.entries(CHANGES).map(([operation, read]) =>
      hearRaw<typeof Api.pattern, Command>(Api, {
        at: { operation },
        queue: QUEUE,
        endpoint: operation,
        absent: "spawn",
        key: (_body, _delivery, { acct, fn }) => functionId(acct, fn),
        toEvent: (body, { address, replyTo, at }) => {
          const { check, caller } = readRequest(address.acct, body, account);
          const wish = read(check, caller, account);
          const revisionIds = { latest: ids(), other: ids() };
          return { ...wish, acct: caller.acct, arn: arnOf(caller, wish.fn), to: replyTo, at, revisionIds };
        },
      }),
    ),
    says: {},
  };
}

/** What is read of it is in force: a state of Successful is told when invokes run what it is about. */
const asInForce = (bucket: Bucket, inForce: InForce): Bucket => ({
  ...bucket,
  async get(key) {
    const entry = await bucket.get(key);
    if (entry !== undefined) await inForce(entry.revision);
    return entry;
  },
});

/** `elsewhere` names operations that another component answers. */
export function lookWiring(
  { account, storage, inForce, ids }: Surroundings,
  elsewhere: ReadonlySet<string>,
): readonly Responds[] {
  const { functions, layers, triggers, code, storedIn } = storage;
  const row = (operation: string, answer: (request: Request, at: number) => Promise<object>): Responds => ({
    contract: Api,
    subject: Api.subject({ operation }),
    queue: QUEUE,
    endpoint: operation,
    answer: ({ address, data, at }: Question) => answer(readRequest(address.acct ?? "", data, account), at),
  });
  const looks = Object.entries(LOOKS).map(([operation, look]) =>
    row(operation, (request) => look({ ...request, functions: asInForce(functions, inForce), layers }, account)),
  );
  const mappings = Object.entries(MAPPINGS).map(([operation, work]) =>
    row(operation, (request, at) => work({ ...request, functions, triggers, storedIn, ids, at })),
  );
  const ofLayers = Object.entries(LAYERS).map(([operation, work]) =>
    row(operation, (request, at) => work({ ...request, layers, code, at })),
  );
  const unknown = {
    contract: Api,
    subject: Api.subject(),
    queue: QUEUE_OF_THE_UNKNOWN,
    answer: ({ address }: Question) => {
      const operation = address.operation ?? "";
      if (OPERATIONS.includes(operation) || elsewhere.has(operation)) return undefined;
      throw new Refused("UnknownOperationException", `The operation ${operation} is not known here.`);
    },
  };
  return [...looks, ...mappings, ...ofLayers, unknown];
}
