/** A function's life through the API, on a real server: shapes, states and defaults as Lambda's clients see them. */
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type Answer,
  arn,
  atRest,
  type Call,
  caller,
  expecting,
  ROLE,
  type RunningControlPlane,
  runControlPlane,
} from "../support/control-plane.ts";
import { handMadeZip } from "../support/hand-made-zip.ts";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { HELLO_JS, zipOf } from "../support/zip.ts";

let server: TestServer;
let plane: RunningControlPlane;
let call: Call;
let ask: ReturnType<typeof expecting>;
let zip: Buffer;

beforeAll(async () => {
  server = await startTestServer();
  plane = await runControlPlane(server);
  call = caller(await server.connect("mayfly"));
  ask = expecting(call);
  zip = await zipOf({ "index.js": HELLO_JS });
});
afterAll(async () => {
  await plane?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

const wanted = (FunctionName: string, more: object = {}) => ({
  FunctionName,
  Role: ROLE,
  Runtime: "nodejs22.x",
  Handler: "index.handler",
  Code: { ZipFile: zip.toString("base64") },
  ...more,
});

const UUID = /^[0-9a-f-]{36}$/;

describe("creating", () => {
  it("answers Pending with Lambda's defaults, then becomes Active under a new RevisionId", async () => {
    const created = await ask("CreateFunction", wanted("defaults"));
    expect(created).toEqual({
      FunctionName: "defaults",
      FunctionArn: arn("defaults"),
      Runtime: "nodejs22.x",
      Role: ROLE,
      Handler: "index.handler",
      CodeSize: zip.length,
      CodeSha256: createHash("sha256").update(zip).digest("base64"),
      Description: "",
      Timeout: 3,
      MemorySize: 128,
      LastModified: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000$/),
      Version: "$LATEST",
      TracingConfig: { Mode: "PassThrough" },
      RevisionId: expect.stringMatching(UUID),
      State: "Pending",
      StateReason: "The function is being created.",
      StateReasonCode: "Creating",
      PackageType: "Zip",
      Architectures: ["x86_64"],
      EphemeralStorage: { Size: 512 },
      SnapStart: { ApplyOn: "None", OptimizationStatus: "Off" },
      LoggingConfig: { LogFormat: "Text", LogGroup: "/aws/lambda/defaults" },
    });
    const { StateReason: _reason, StateReasonCode: _code, ...rest } = created;
    const active = await atRest(call, "defaults");
    expect(active).toEqual({
      ...rest,
      State: "Active",
      LastUpdateStatus: "Successful",
      RevisionId: expect.stringMatching(UUID),
    });
    expect(active.RevisionId).not.toBe(created.RevisionId);
  });

  it("takes a package that is in the object store already", async () => {
    const other = await zipOf({ "index.js": "exports.handler = async () => 1" });
    const sha256 = createHash("sha256").update(other).digest("hex");
    await plane.storage.code.put(sha256, other);
    const created = await ask("CreateFunction", wanted("stored", { Code: { S3Bucket: "CODE", S3Key: sha256 } }));
    expect(Buffer.from(String(created.CodeSha256), "base64").toString("hex")).toBe(sha256);
    await expect(atRest(call, "stored")).resolves.toMatchObject({ State: "Active" });
    const got = await ask("GetFunction", { FunctionName: "stored" });
    expect(got.Code).toEqual({ RepositoryType: "S3", Location: `nats-obj://CODE/${sha256}` });
  });

  it("refuses a stored package that is missing, or is not what its name says", async () => {
    const missing = { S3Bucket: "CODE", S3Key: "0".repeat(64) };
    expect(await call("CreateFunction", wanted("no-code", { Code: missing }))).toMatchObject({
      error: "InvalidParameterValueException",
      body: { message: expect.stringContaining("NoSuchKey") },
    });
    await plane.storage.code.put("1".repeat(64), zip);
    const wrong = { S3Bucket: "CODE", S3Key: "1".repeat(64) };
    expect(await call("CreateFunction", wanted("no-code", { Code: wrong }))).toMatchObject({
      error: "InvalidParameterValueException",
      body: { message: expect.stringContaining("is not what its name says") },
    });
  });

  it("refuses a second function of the same name", async () => {
    await ask("CreateFunction", wanted("twice"));
    expect(await call("CreateFunction", wanted("twice"))).toEqual<Answer>({
      error: "ResourceConflictException",
      body: { Type: "User", message: "Function already exist: twice" },
    });
  });

  it("tells of tags and reserved concurrency with the function", async () => {
    await ask("CreateFunction", wanted("tagged", { Tags: { team: "blue" } }));
    await ask("PutFunctionConcurrency", { FunctionName: "tagged", ReservedConcurrentExecutions: 5 });
    expect(await ask("GetFunction", { FunctionName: arn("tagged") })).toMatchObject({
      Tags: { team: "blue" },
      Concurrency: { ReservedConcurrentExecutions: 5 },
    });
    await ask("TagResource", { Resource: arn("tagged"), Tags: { stage: "test" } });
    await ask("UntagResource", { Resource: arn("tagged"), TagKeys: ["team"] });
    expect(await ask("ListTags", { Resource: arn("tagged") })).toEqual({ Tags: { stage: "test" } });
    await ask("DeleteFunctionConcurrency", { FunctionName: "tagged" });
    expect(await ask("GetFunctionConcurrency", { FunctionName: "tagged" })).toEqual({});
  });
});

describe("updating", () => {
  it("answers InProgress, and serves the old configuration until the new one is successful", async () => {
    await ask("CreateFunction", wanted("updated", { Environment: { Variables: { NAME: "old" } } }));
    const before = await atRest(call, "updated");
    const update = await ask("UpdateFunctionConfiguration", {
      FunctionName: "updated",
      Timeout: 10,
      Environment: { Variables: { NAME: "new" } },
    });
    expect(update).toMatchObject({
      Timeout: 10,
      Environment: { Variables: { NAME: "new" } },
      State: "Active",
      LastUpdateStatus: "InProgress",
      LastUpdateStatusReason: "The function is being created.",
      LastUpdateStatusReasonCode: "Creating",
    });
    const after = await atRest(call, "updated");
    expect(after).toMatchObject({ Timeout: 10, State: "Active", LastUpdateStatus: "Successful" });
    expect(new Set([before.RevisionId, update.RevisionId, after.RevisionId]).size).toBe(3);
    const entry = await plane.storage.functions.get("000000000000.updated");
    expect(entry?.value).toMatchObject({ serving: { Timeout: 10, RevisionId: after.RevisionId } });
  });

  it("takes new code", async () => {
    await ask("CreateFunction", wanted("recoded"));
    await atRest(call, "recoded");
    const other = await zipOf({ "index.js": "exports.handler = async () => 2" });
    await ask("UpdateFunctionCode", { FunctionName: "recoded", ZipFile: other.toString("base64") });
    const after = await atRest(call, "recoded");
    expect(after).toMatchObject({
      CodeSize: other.length,
      CodeSha256: createHash("sha256").update(other).digest("base64"),
      LastUpdateStatus: "Successful",
    });
  });

  it("doesn't take a package that no worker would unpack, new or in place of another, and stores nothing of it", async () => {
    const twice = Buffer.from(handMadeZip(["1", "2"].map((content) => ({ name: "index.js", content }))));
    const sha256 = createHash("sha256").update(twice).digest("hex");
    const refused = {
      error: "InvalidParameterValueException",
      body: {
        message:
          'Could not unzip uploaded file. Please check your file, then try to upload again. ("index.js" is there twice)',
      },
    };
    const ZipFile = twice.toString("base64");
    expect(await call("CreateFunction", wanted("unsafe", { Code: { ZipFile } }))).toMatchObject(refused);
    expect((await call("GetFunction", { FunctionName: "unsafe" })).error).toBe("ResourceNotFoundException");
    await ask("CreateFunction", wanted("safe"));
    const before = await atRest(call, "safe");
    expect(await call("UpdateFunctionCode", { FunctionName: "safe", ZipFile })).toMatchObject(refused);
    expect(await plane.storage.code.has(sha256)).toBe(false);
    await plane.storage.code.put(sha256, twice);
    const stored = { FunctionName: "safe", S3Bucket: "CODE", S3Key: sha256 };
    expect(await call("UpdateFunctionCode", stored)).toMatchObject(refused);
    expect(await atRest(call, "safe")).toEqual(before);
  });

  it("leaves everything as it was on a dry run and on a wrong RevisionId", async () => {
    await ask("CreateFunction", wanted("careful"));
    const before = await atRest(call, "careful");
    const other = (await zipOf({ "index.js": "exports.handler = async () => 3" })).toString("base64");
    await ask("UpdateFunctionCode", { FunctionName: "careful", ZipFile: other, DryRun: true });
    const stale = { FunctionName: "careful", RevisionId: "00000000-0000-0000-0000-000000000000" };
    expect((await call("UpdateFunctionCode", { ...stale, ZipFile: other })).error).toBe("PreconditionFailedException");
    expect((await call("UpdateFunctionConfiguration", { ...stale, Timeout: 4 })).error).toBe(
      "PreconditionFailedException",
    );
    expect(await atRest(call, "careful")).toEqual(before);
    const right = { FunctionName: "careful", RevisionId: before.RevisionId };
    await expect(ask("UpdateFunctionConfiguration", { ...right, Timeout: 4 })).resolves.toMatchObject({ Timeout: 4 });
  });

  it("removes the environment when it is given empty", async () => {
    await ask("CreateFunction", wanted("emptied", { Environment: { Variables: { NAME: "x1" } } }));
    await atRest(call, "emptied");
    await ask("UpdateFunctionConfiguration", { FunctionName: "emptied", Environment: { Variables: {} } });
    expect(await atRest(call, "emptied")).not.toHaveProperty("Environment");
  });
});

describe("deleting", () => {
  it("leaves nothing behind, and the name may be used again at once", async () => {
    await ask("CreateFunction", wanted("deleted", { Publish: true }));
    await atRest(call, "deleted");
    expect(await ask("DeleteFunction", { FunctionName: "deleted" })).toEqual({});
    expect(await plane.storage.functions.keys("000000000000.deleted.*")).toEqual([]);
    expect(await call("GetFunction", { FunctionName: "deleted" })).toEqual<Answer>({
      error: "ResourceNotFoundException",
      body: { Type: "User", Message: `Function not found: ${arn("deleted")}` },
    });
    expect((await call("DeleteFunction", { FunctionName: "deleted" })).error).toBe("ResourceNotFoundException");
    await ask("CreateFunction", wanted("deleted"));
    await expect(atRest(call, "deleted")).resolves.toMatchObject({ State: "Active" });
  });

  it("doesn't delete $LATEST alone", async () => {
    expect(await call("DeleteFunction", { FunctionName: "defaults", Qualifier: "$LATEST" })).toMatchObject({
      error: "InvalidParameterValueException",
      body: { message: "$LATEST version cannot be deleted without deleting the function." },
    });
  });
});

it("answers operations it doesn't know by name", async () => {
  expect(await call("CreateRocket")).toEqual<Answer>({
    error: "UnknownOperationException",
    body: { Type: "User", Message: "The operation CreateRocket is not known here." },
  });
});
