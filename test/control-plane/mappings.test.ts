/** Event source mappings through the API, on a real server. Nobody makes the wishes so: their records stay as written. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MappingRecord, mappingKey } from "../../subjects/mapping.ts";
import { DEFAULT_ACCOUNT } from "../../subjects/tokens.ts";
import {
  arn,
  atRest,
  type Call,
  caller,
  expecting,
  ROLE,
  type RunningControlPlane,
  runControlPlane,
} from "../support/control-plane.ts";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { HELLO_JS, zipOf } from "../support/zip.ts";

let server: TestServer;
let plane: RunningControlPlane;
let call: Call;
let ask: ReturnType<typeof expecting>;
let ZipFile: string;

beforeAll(async () => {
  server = await startTestServer();
  plane = await runControlPlane(server);
  call = caller(await server.connect("mayfly"));
  ask = expecting(call);
  ZipFile = (await zipOf({ "index.js": HELLO_JS })).toString("base64");
  await made("worker");
});
afterAll(async () => {
  await plane?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

async function made(FunctionName: string): Promise<string> {
  await ask("CreateFunction", { FunctionName, Role: ROLE, Runtime: "python3.13", Handler: "a.h", Code: { ZipFile } });
  await atRest(call, FunctionName);
  return FunctionName;
}

const nats = (what: string): string => `arn:aws:nats:::${what}`;
const create = (what: string, more: object = {}) =>
  ask("CreateEventSourceMapping", { FunctionName: "worker", EventSourceArn: nats(what), ...more });
const key = (uuid: unknown): string => mappingKey(DEFAULT_ACCOUNT, String(uuid));
const kept = async (UUID: unknown): Promise<MappingRecord> =>
  MappingRecord.parse((await plane.storage.triggers.get(key(UUID)))?.value);
/** What the triggers write once a wish is so. */
async function settle(UUID: unknown, state: MappingRecord["state"]): Promise<void> {
  await plane.storage.triggers.put(key(UUID), { ...(await kept(UUID)), state });
}

describe("a mapping of a stream", () => {
  it("is Creating, with Lambda's defaults, and kept as the triggers need it", async () => {
    const created = await create("stream/ORDERS/orders.*", { StartingPosition: "TRIM_HORIZON" });
    expect(created).toEqual({
      UUID: expect.stringMatching(/^[0-9a-f-]{36}$/),
      EventSourceMappingArn: `arn:aws:lambda:us-east-1:${DEFAULT_ACCOUNT}:event-source-mapping:${created.UUID}`,
      EventSourceArn: nats("stream/ORDERS/orders.*"),
      FunctionArn: arn("worker"),
      BatchSize: 100,
      MaximumBatchingWindowInSeconds: 0,
      ParallelizationFactor: 1,
      TumblingWindowInSeconds: 0,
      BisectBatchOnFunctionError: false,
      MaximumRetryAttempts: -1,
      MaximumRecordAgeInSeconds: -1,
      FunctionResponseTypes: [],
      DestinationConfig: { OnFailure: {} },
      InOrder: false,
      StartingPosition: "TRIM_HORIZON",
      State: "Creating",
      StateTransitionReason: "User action",
      LastProcessingResult: "No records processed",
      LastModified: expect.any(Number),
    });
    expect(await kept(created.UUID)).toMatchObject({
      acct: DEFAULT_ACCOUNT,
      fn: "worker",
      source: { kind: "stream", stream: "ORDERS", subject: "orders.*" },
      enabled: true,
      state: "Creating",
    });
    expect(await ask("GetEventSourceMapping", { UUID: created.UUID })).toEqual(created);
  });

  it("keeps every setting it is given, for a version or alias too", async () => {
    const FunctionName = await made("settings");
    await ask("PublishVersion", { FunctionName });
    const Pattern = '{"data":{"total":[{"numeric":[">",100]}],"state":["paid",{"prefix":"re"}]}}';
    const asked = {
      FunctionName: `${FunctionName}:1`,
      BatchSize: 10,
      MaximumBatchingWindowInSeconds: 5,
      BisectBatchOnFunctionError: true,
      MaximumRetryAttempts: 3,
      MaximumRecordAgeInSeconds: 60,
      FunctionResponseTypes: ["ReportBatchItemFailures"],
      DestinationConfig: { OnFailure: { Destination: nats("subject/orders.failed") } },
      FilterCriteria: { Filters: [{ Pattern }] },
      ScalingConfig: { MaximumConcurrency: 4 },
      InOrder: true,
      StartingPosition: "AT_TIMESTAMP",
      StartingPositionTimestamp: 1764000000,
    };
    const { FunctionName: _name, ...told } = asked;
    const created = await create("stream/ORDERS", { ...asked, Enabled: false });
    expect(created).toMatchObject({ ...told, FunctionArn: `${arn(FunctionName)}:1`, State: "Creating" });
    expect(await kept(created.UUID)).toMatchObject({
      qualifier: "1",
      batchSize: 10,
      windowSeconds: 5,
      filters: [Pattern],
      reportsItemFailures: true,
      bisects: true,
      maxRetryAttempts: 3,
      maxRecordAgeSeconds: 60,
      onFailure: nats("subject/orders.failed"),
      maxConcurrency: 4,
      startingAt: 1764000000000,
      inOrder: true,
      enabled: false,
    });
  });
});

describe("other sources", () => {
  it.each([
    ["subject/payments.>", { Reply: true, ScalingConfig: { MaximumConcurrency: 2 } }, { kind: "subject", reply: true }],
    ["subject/refunds.*", {}, { kind: "subject", subject: "refunds.*", reply: false }],
    ["bucket/PRICES/eu.*", {}, { kind: "bucket", bucket: "PRICES", keys: "eu.*" }],
    ["objects/PICTURES", { StartingPosition: "TRIM_HORIZON" }, { kind: "objects", bucket: "PICTURES" }],
    ["schedule/rate(5 minutes)", {}, { kind: "schedule", expression: "rate(5 minutes)", timeZone: "UTC" }],
    ["schedule/cron(0 9 ? * MON-FRI *)", { TimeZone: "Europe/Paris" }, { kind: "schedule", timeZone: "Europe/Paris" }],
    ["schedule/at(2031-02-28T12:00:00)", {}, { kind: "schedule" }],
  ])("takes %s with %o", async (what, more, source) => {
    const created = await create(what, more);
    expect(created).toMatchObject({ EventSourceArn: nats(what), State: "Creating", ...more });
    expect((await kept(created.UUID)).source).toMatchObject(source);
  });
});

describe("what can't be a mapping", () => {
  const position = { StartingPosition: "LATEST" };
  it.each<[string, object, string]>([
    ["stream/ORDERS", {}, "Value null at 'startingPosition' failed to satisfy constraint: Member must not be null."],
    ["stream/ORDERS", { StartingPosition: "AT_TIMESTAMP" }, "StartingPositionTimestamp must be given"],
    ["stream/ORDERS", { ...position, FunctionName: "nobody" }, "Function does not exist"],
    ["stream/ORDERS", { ...position, FunctionName: "worker:live" }, "Function does not exist"],
    ["stream/ORDERS", { ...position, EventSourceArn: undefined }, "Unrecognized event source."],
    ["stream/ORDERS", { ...position, Topics: ["t"] }, "Topics is not supported by this control plane."],
    ["stream/ORDERS", { ...position, ...filter("{}") }, "Invalid filter pattern definition."],
    ["stream/ORDERS", { ...position, ...filter('{"data":"paid"}') }, "Invalid filter pattern definition."],
    ["stream/ORDERS", { ...position, ...filter('{"data":[{"about":1}]}') }, "Invalid filter pattern definition."],
    ["stream/ORDERS", { ...position, ...onFailure("subject/mayfly.api.x") }, "The destination ARN"],
    ["stream/ORDERS", { ...position, ...onFailure("stream/NOWHERE/x") }, "Stream NOWHERE does not store x."],
    ["stream/LOGS", position, "Unrecognized event source"],
    ["stream/ASYNC_3", position, "Unrecognized event source"],
    ["stream/KV_FUNCTIONS", position, "Unrecognized event source"],
    ["bucket/FUNCTIONS", {}, "Unrecognized event source"],
    ["objects/CODE", {}, "Unrecognized event source"],
    ["subject/mayfly.*.invoke.>", {}, "Unrecognized event source"],
    ["subject/>", {}, "Unrecognized event source"],
    ["subject/*.created", {}, "Unrecognized event source"],
    ["subject/$SYS.>", {}, "Unrecognized event source"],
    ["subject/_INBOX.>", {}, "Unrecognized event source"],
    ["subject/orders..created", {}, "Unrecognized event source"],
    ["subject/orders", { BatchSize: 10 }, "BatchSize is not supported for event sources of kind subject."],
    ["subject/orders", position, "StartingPosition is not supported"],
    ["subject/orders", { TimeZone: "UTC" }, "Only a schedule has a TimeZone."],
    ["schedule/rate(1 minutes)", {}, "Invalid Schedule Expression rate(1 minutes)."],
    ["schedule/cron(0 9 * * *)", {}, "Invalid Schedule Expression"],
    ["schedule/cron(0 9 * * * *)", {}, "Invalid Schedule Expression"],
    ["schedule/cron(61 9 ? * MON *)", {}, "Invalid Schedule Expression"],
    ["schedule/at(2031-02-30T12:00:00)", {}, "Invalid Schedule Expression"],
    ["schedule/rate(5 minutes)", { TimeZone: "Mars/Olympus" }, "The TimeZone Mars/Olympus is not known."],
    ["schedule/rate(5 minutes)", filter('{"a":["b"]}'), "FilterCriteria is not supported"],
    ["bucket/PRICES", { Reply: true }, "Only messages of a subject can be answered"],
  ])("%s with %o", async (what, more, message) => {
    const body = { FunctionName: "worker", EventSourceArn: nats(what), ...more };
    expect(await call("CreateEventSourceMapping", body)).toMatchObject({
      error: "InvalidParameterValueException",
      body: { message: expect.stringContaining(message) },
    });
  });

  it("is told of with all that is beyond Lambda's limits", async () => {
    const body = { FunctionName: "worker", EventSourceArn: nats("stream/X"), StartingPosition: "LATEST" };
    const { error, body: told } = await call("CreateEventSourceMapping", {
      ...body,
      BatchSize: 10_001,
      MaximumBatchingWindowInSeconds: 301,
      MaximumRecordAgeInSeconds: 30,
      FunctionResponseTypes: ["All"],
    });
    expect(error).toBe("ValidationException");
    expect(told.message).toMatch(/^4 validation errors detected: Value '10001' at 'batchSize'/);
  });

  it("is a second one of the same source and function", async () => {
    const { UUID } = await create("subject/twice");
    expect(
      await call("CreateEventSourceMapping", { FunctionName: arn("worker"), EventSourceArn: nats("subject/twice") }),
    ).toMatchObject({
      error: "ResourceConflictException",
      body: { message: expect.stringContaining(`Please update or delete the existing mapping with UUID ${UUID}`) },
    });
  });
});

describe("changes", () => {
  it("are wishes: the state says which, and what isn't given stays", async () => {
    const { UUID } = await create("stream/CHANGED", {
      StartingPosition: "LATEST",
      BatchSize: 7,
      ...onFailure("subject/x"),
    });
    const update = async (body: object) => (await ask("UpdateEventSourceMapping", { UUID, ...body })).State;
    expect(await update({ BatchSize: 8 })).toBe("Creating");
    await settle(UUID, "Enabled");
    expect(await update({ MaximumRetryAttempts: 2 })).toBe("Updating");
    await settle(UUID, "Enabled");
    expect(await update({ Enabled: false })).toBe("Disabling");
    expect(await update({ BatchSize: 9 })).toBe("Disabling");
    await settle(UUID, "Disabled");
    expect(await update({ DestinationConfig: { OnFailure: {} } })).toBe("Updating");
    await settle(UUID, "Disabled");
    expect(await update({ Enabled: true, FunctionName: "settings:1" })).toBe("Enabling");
    expect(await kept(UUID)).toMatchObject({ batchSize: 9, maxRetryAttempts: 2, enabled: true, fn: "settings" });
    expect(await kept(UUID)).not.toHaveProperty("onFailure");
  });

  it("are taken one after the other when several ask at once: none is lost", async () => {
    const { UUID } = await create("stream/CONTENDED", { StartingPosition: "LATEST" });
    await Promise.all([
      ask("UpdateEventSourceMapping", { UUID, BatchSize: 5 }),
      ask("UpdateEventSourceMapping", { UUID, MaximumRetryAttempts: 4 }),
      ask("UpdateEventSourceMapping", { UUID, BisectBatchOnFunctionError: true }),
    ]);
    expect(await kept(UUID)).toMatchObject({ batchSize: 5, maxRetryAttempts: 4, bisects: true });
  });

  it("can't be of the source", async () => {
    const { UUID } = await create("subject/fixed");
    expect(await call("UpdateEventSourceMapping", { UUID, EventSourceArn: nats("subject/other") })).toMatchObject({
      error: "InvalidParameterValueException",
    });
  });

  it("end with Deleting, which is told again and takes no other wish", async () => {
    const { UUID } = await create("subject/deleted");
    const deleting = await ask("DeleteEventSourceMapping", { UUID });
    expect(deleting).toMatchObject({ UUID, State: "Deleting" });
    expect(await ask("DeleteEventSourceMapping", { UUID })).toEqual(deleting);
    expect(await call("UpdateEventSourceMapping", { UUID, Enabled: true })).toMatchObject({
      error: "ResourceInUseException",
      body: { Message: "Cannot update the event source mapping because it is in use." },
    });
    await plane.storage.triggers.delete(key(UUID));
    for (const operation of ["Get", "Update", "Delete"])
      expect(await call(`${operation}EventSourceMapping`, { UUID })).toMatchObject({
        error: "ResourceNotFoundException",
        body: { Message: "The resource you requested does not exist." },
      });
  });
});

describe("lists", () => {
  it("are of one function or one source, by pages", async () => {
    const FunctionName = await made("listed");
    for (const what of ["subject/l.one", "subject/l.two", "subject/l.three"]) await create(what, { FunctionName });
    const found: unknown[] = [];
    let Marker: unknown;
    do {
      const more = Marker === undefined ? {} : { Marker };
      const page = await ask("ListEventSourceMappings", { FunctionName, MaxItems: 2, ...more });
      found.push(...(page.EventSourceMappings as Array<Record<string, unknown>>).map((each) => each.EventSourceArn));
      Marker = page.NextMarker;
    } while (Marker !== undefined);
    expect(found.sort()).toEqual([nats("subject/l.one"), nats("subject/l.three"), nats("subject/l.two")]);
    expect(await ask("ListEventSourceMappings", { EventSourceArn: nats("subject/l.two") })).toMatchObject({
      EventSourceMappings: [{ FunctionArn: arn(FunctionName) }],
    });
  });

  it("still show the mappings of a function that was deleted", async () => {
    const FunctionName = await made("gone");
    const created = await create("subject/gone", { FunctionName });
    await ask("DeleteFunction", { FunctionName });
    expect(await ask("ListEventSourceMappings", { FunctionName })).toEqual({ EventSourceMappings: [created] });
  });
});

function filter(Pattern: string): object {
  return { FilterCriteria: { Filters: [{ Pattern }] } };
}

function onFailure(what: string): object {
  return { DestinationConfig: { OnFailure: { Destination: nats(what) } } };
}
