/** How asynchronous events of a function are handled, through the API on a real server. */
import { jetstreamManager } from "@nats-io/jetstream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FunctionRecord, functionKey } from "../../subjects/function.ts";
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
  const { streams } = await jetstreamManager(plane.connection);
  await streams.add({ name: "ORDERS", subjects: ["orders.done", "orders.dead"] });
  ZipFile = (await zipOf({ "index.js": HELLO_JS })).toString("base64");
  await made("target");
});
afterAll(async () => {
  await plane?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

async function made(FunctionName: string, more: object = {}): Promise<string> {
  const basics = { Role: ROLE, Runtime: "python3.13", Handler: "app.handler", Code: { ZipFile } };
  await ask("CreateFunction", { FunctionName, ...basics, ...more });
  await atRest(call, FunctionName);
  return FunctionName;
}

const kept = async (fn: string): Promise<FunctionRecord> =>
  FunctionRecord.parse((await plane.storage.functions.get(functionKey(DEFAULT_ACCOUNT, fn)))?.value);

const NONE = { OnSuccess: {}, OnFailure: {} };
const SUBJECT = "arn:aws:nats:::subject/orders.failed";
const STREAM = "arn:aws:nats:::stream/ORDERS/orders.done";

describe("event invoke configs", () => {
  it("are put, read, and kept where the poller finds them", async () => {
    const FunctionName = await made("put");
    const put = await ask("PutFunctionEventInvokeConfig", { FunctionName, MaximumRetryAttempts: 0 });
    expect(put).toEqual({
      FunctionArn: `${arn("put")}:$LATEST`,
      MaximumRetryAttempts: 0,
      DestinationConfig: NONE,
      LastModified: expect.any(Number),
    });
    expect(put.LastModified).toBeLessThan(1e11);
    expect(await ask("GetFunctionEventInvokeConfig", { FunctionName })).toEqual(put);
    const { FunctionArn: _arn, ...config } = put;
    expect((await kept(FunctionName)).eventInvoke).toEqual({ $LATEST: config });
  });

  it("are replaced by Put, and changed in part by Update, each destination for itself", async () => {
    const FunctionName = await made("changed");
    const DestinationConfig = { OnSuccess: { Destination: STREAM }, OnFailure: { Destination: SUBJECT } };
    await ask("PutFunctionEventInvokeConfig", { FunctionName, MaximumRetryAttempts: 1, DestinationConfig });
    expect(
      await ask("UpdateFunctionEventInvokeConfig", {
        FunctionName,
        MaximumEventAgeInSeconds: 60,
        DestinationConfig: { OnSuccess: {} },
      }),
    ).toMatchObject({
      MaximumRetryAttempts: 1,
      MaximumEventAgeInSeconds: 60,
      DestinationConfig: { OnSuccess: {}, OnFailure: { Destination: SUBJECT } },
    });
    const put = await ask("PutFunctionEventInvokeConfig", { FunctionName, MaximumEventAgeInSeconds: 90 });
    expect(put).toMatchObject({ MaximumEventAgeInSeconds: 90, DestinationConfig: NONE });
    expect(put).not.toHaveProperty("MaximumRetryAttempts");
  });

  it("are held for each version and alias, listed, and gone with them", async () => {
    const FunctionName = await made("qualified");
    await ask("PublishVersion", { FunctionName });
    await ask("CreateAlias", { FunctionName, Name: "live", FunctionVersion: "1" });
    await ask("CreateAlias", { FunctionName, Name: "constructor", FunctionVersion: "$LATEST" });
    for (const Qualifier of ["live", "1", "$LATEST"])
      await ask("PutFunctionEventInvokeConfig", { FunctionName, Qualifier, MaximumRetryAttempts: 1 });
    const listed = async () =>
      ((await ask("ListFunctionEventInvokeConfigs", { FunctionName })).FunctionEventInvokeConfigs as object[]).map(
        (each) => (each as { FunctionArn: string }).FunctionArn.split(":").at(-1),
      );
    expect(await listed()).toEqual(["$LATEST", "1", "live"]);
    expect(await call("GetFunctionEventInvokeConfig", { FunctionName, Qualifier: "constructor" })).toMatchObject({
      error: "ResourceNotFoundException",
    });
    await ask("DeleteAlias", { FunctionName, Name: "live" });
    await ask("DeleteFunction", { FunctionName, Qualifier: "1" });
    expect(await listed()).toEqual(["$LATEST"]);
    await ask("DeleteFunctionEventInvokeConfig", { FunctionName });
    expect(await call("GetFunctionEventInvokeConfig", { FunctionName })).toMatchObject({
      error: "ResourceNotFoundException",
      body: { Message: `The function ${arn(FunctionName)}:$LATEST doesn't have an EventInvokeConfig` },
    });
  });

  it.each<[object, string]>([
    [{}, "You must specify at least one of error handling or destination setting."],
    [to(arn("refused")), "You can't specify the function as a destination for itself."],
    [to(arn("nobody")), `The destination ARN ${arn("nobody")} is invalid.`],
    [to(arn("target:live")), `The destination ARN ${arn("target:live")} is invalid.`],
    ...[
      ["NOWHERE", "orders.done"],
      ["ORDERS", "orders.elsewhere"],
    ].map(([stream, subject]): [object, string] => {
      const destination = `arn:aws:nats:::stream/${stream}/${subject}`;
      return [
        to(destination),
        `The destination ARN ${destination} is invalid. Stream ${stream} does not store ${subject}.`,
      ];
    }),
    ...[
      "arn:aws:sqs:us-east-1:000000000000:q",
      "arn:aws:nats:::subject/mayfly.worker.w1.drain",
      "arn:aws:nats:::subject/$JS.API.STREAM.DELETE.ORDERS",
      "arn:aws:nats:::subject/_INBOX.somebody",
      "arn:aws:nats:::subject/orders.*",
      "arn:aws:nats:::subject/a b",
      "arn:aws:nats:::stream/ASYNC_0/orders.done",
      "arn:aws:nats:::stream/KV_FUNCTIONS/orders.done",
      "arn:aws:nats:::stream/ORDERS",
      "arn:aws:lambda:us-east-1:111111111111:function:target",
    ].map((destination) => [to(destination), `The destination ARN ${destination} is invalid.`] as [object, string]),
  ])("refuses %o", async (change, message) => {
    if ((await call("GetFunction", { FunctionName: "refused" })).error !== undefined) await made("refused");
    expect(await call("PutFunctionEventInvokeConfig", { FunctionName: "refused", ...change })).toMatchObject({
      error: "InvalidParameterValueException",
      body: { message },
    });
  });

  it("refuses limits beyond Lambda's, and functions and qualifiers that don't exist", async () => {
    const body = { FunctionName: "target", MaximumRetryAttempts: 3, MaximumEventAgeInSeconds: 59 };
    const { error, body: told } = await call("PutFunctionEventInvokeConfig", body);
    expect(error).toBe("ValidationException");
    expect(told.message).toMatch(/^2 validation errors detected: Value '3' at 'maximumRetryAttempts' failed/);
    const gone = { error: "ResourceNotFoundException", body: { Message: "The function doesn't exist." } };
    const change = { MaximumRetryAttempts: 1 };
    expect(await call("PutFunctionEventInvokeConfig", { FunctionName: "nobody", ...change })).toMatchObject(gone);
    expect(await call("PutFunctionEventInvokeConfig", { FunctionName: "target:live", ...change })).toMatchObject(gone);
    expect(await call("UpdateFunctionEventInvokeConfig", { FunctionName: "target", ...change })).toMatchObject({
      error: "ResourceNotFoundException",
      body: { Message: `The function ${arn("target")}:$LATEST doesn't have an EventInvokeConfig` },
    });
  });

  it("may name another function of the account", async () => {
    const FunctionName = await made("chained");
    expect(await ask("PutFunctionEventInvokeConfig", { FunctionName, ...to(arn("target")) })).toMatchObject({
      DestinationConfig: { OnSuccess: {}, OnFailure: { Destination: arn("target") } },
    });
  });
});

describe("the dead-letter target of a function", () => {
  it("is set with it, shown, kept by other changes, and taken away by an empty one", async () => {
    const FunctionName = await made("lettered", { DeadLetterConfig: { TargetArn: SUBJECT } });
    await ask("UpdateFunctionConfiguration", { FunctionName, Timeout: 9 });
    expect(await atRest(call, FunctionName)).toMatchObject({ DeadLetterConfig: { TargetArn: SUBJECT } });
    await ask("UpdateFunctionConfiguration", { FunctionName, DeadLetterConfig: { TargetArn: STREAM } });
    expect(await atRest(call, FunctionName)).toMatchObject({ DeadLetterConfig: { TargetArn: STREAM } });
    await ask("UpdateFunctionConfiguration", { FunctionName, DeadLetterConfig: { TargetArn: "" } });
    expect(await atRest(call, FunctionName)).not.toHaveProperty("DeadLetterConfig");
  });

  it.each([arn("target"), "arn:aws:nats:::subject/mayfly.x", "arn:aws:nats:::stream/NOWHERE/orders.done"])(
    "can't be %s",
    async (TargetArn) => {
      expect(
        await call("UpdateFunctionConfiguration", { FunctionName: "target", DeadLetterConfig: { TargetArn } }),
      ).toMatchObject({
        error: "InvalidParameterValueException",
        body: { message: expect.stringContaining(`The provided target ARN ${TargetArn} is invalid.`) },
      });
    },
  );
});

describe("a function's queue", () => {
  it("is paused and resumed, and keeps its concurrency over that", async () => {
    const FunctionName = await made("queued");
    expect(await ask("GetFunctionQueueConfig", { FunctionName })).toEqual({ Paused: false });
    await ask("PutFunctionQueueConfig", { FunctionName, MaximumConcurrency: 3 });
    expect(await ask("PutFunctionQueueConfig", { FunctionName, Paused: true })).toEqual({
      MaximumConcurrency: 3,
      Paused: true,
    });
    expect((await kept(FunctionName)).queue).toEqual({ MaximumConcurrency: 3, Paused: true });
    await ask("PutFunctionQueueConfig", { FunctionName, Paused: false, MaximumConcurrency: 0 });
    expect(await ask("GetFunctionQueueConfig", { FunctionName })).toEqual({ Paused: false });
  });

  it("is the function's, not a version's", async () => {
    expect(await call("PutFunctionQueueConfig", { FunctionName: "target:1", Paused: true })).toMatchObject({
      error: "InvalidParameterValueException",
    });
    expect(await call("PutFunctionQueueConfig", { FunctionName: "target" })).toMatchObject({
      error: "InvalidParameterValueException",
    });
  });
});

function to(Destination: string): object {
  return { DestinationConfig: { OnFailure: { Destination } } };
}
