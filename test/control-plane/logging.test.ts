/** What is said of a function's log through the API: JSON has levels, Text has none. */
import { afterAll, beforeAll, expect, it } from "vitest";
import {
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

beforeAll(async () => {
  server = await startTestServer();
  plane = await runControlPlane(server);
  call = caller(await server.connect("mayfly"));
  ask = expecting(call);
});
afterAll(async () => {
  await plane?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

async function created(FunctionName: string, LoggingConfig: object): Promise<unknown> {
  const ZipFile = (await zipOf({ "index.js": HELLO_JS })).toString("base64");
  const body = { FunctionName, Role: ROLE, Runtime: "nodejs24.x", Handler: "index.handler", Code: { ZipFile } };
  await ask("CreateFunction", { ...body, LoggingConfig });
  return (await atRest(call, FunctionName)).LoggingConfig;
}

async function changed(FunctionName: string, LoggingConfig: object): Promise<unknown> {
  await ask("UpdateFunctionConfiguration", { FunctionName, LoggingConfig });
  return (await atRest(call, FunctionName)).LoggingConfig;
}

it("JSON's levels are INFO until something else is said, and go with it", async () => {
  const LogGroup = "/aws/lambda/levelled";
  const json = { LogFormat: "JSON", ApplicationLogLevel: "INFO", SystemLogLevel: "INFO", LogGroup };
  expect(await created("levelled", { LogFormat: "JSON" })).toEqual(json);
  expect(await changed("levelled", { ApplicationLogLevel: "WARN" })).toEqual({ ...json, ApplicationLogLevel: "WARN" });
  expect((await ask("PublishVersion", { FunctionName: "levelled" })).Version).toBe("1");
  expect(await changed("levelled", { SystemLogLevel: "DEBUG" })).toEqual({
    ...json,
    ApplicationLogLevel: "WARN",
    SystemLogLevel: "DEBUG",
  });
  expect((await ask("PublishVersion", { FunctionName: "levelled" })).Version).toBe("2");
  expect(await changed("levelled", { LogFormat: "Text" })).toEqual({ LogFormat: "Text", LogGroup });
  expect(await changed("levelled", { LogFormat: "JSON" })).toEqual(json);
});

it("levels without JSON are refused", async () => {
  expect(await created("plain", { LogGroup: "mine" })).toEqual({ LogFormat: "Text", LogGroup: "mine" });
  const wrong = { FunctionName: "plain", LoggingConfig: { ApplicationLogLevel: "DEBUG" } };
  expect(await call("UpdateFunctionConfiguration", wrong)).toMatchObject({
    error: "InvalidParameterValueException",
    body: { message: "ApplicationLogLevel and SystemLogLevel can only be set when LogFormat is JSON." },
  });
  const both = { FunctionName: "plain", LoggingConfig: { LogFormat: "JSON", ApplicationLogLevel: "DEBUG" } };
  expect(await ask("UpdateFunctionConfiguration", both)).toMatchObject({ LoggingConfig: { SystemLogLevel: "INFO" } });
});
