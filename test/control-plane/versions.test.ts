/** Versions and aliases through the API, on a real server. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
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
});
afterAll(async () => {
  await plane?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

/** A function at rest. */
async function made(FunctionName: string, more: object = {}): Promise<string> {
  const basics = { Role: ROLE, Runtime: "python3.13", Handler: "app.handler", Code: { ZipFile } };
  await ask("CreateFunction", { FunctionName, ...basics, ...more });
  await atRest(call, FunctionName);
  return FunctionName;
}

async function changed(FunctionName: string, Timeout: number): Promise<void> {
  await ask("UpdateFunctionConfiguration", { FunctionName, Timeout });
  await atRest(call, FunctionName);
}

describe("versions", () => {
  it("keep their number while nothing has changed, and get the next when something has", async () => {
    const FunctionName = await made("published");
    const first = await ask("PublishVersion", { FunctionName, Description: "the first" });
    expect(first).toMatchObject({
      Version: "1",
      FunctionArn: `${arn("published")}:1`,
      Description: "the first",
      State: "Active",
      LastUpdateStatus: "Successful",
    });
    expect(await ask("PublishVersion", { FunctionName })).toEqual(first);
    await changed(FunctionName, 7);
    expect(await ask("PublishVersion", { FunctionName })).toMatchObject({ Version: "2", Timeout: 7 });
    expect(await ask("GetFunctionConfiguration", { FunctionName, Qualifier: "1" })).toEqual(first);
  });

  it("are never given a number twice, also after the newest was deleted", async () => {
    const FunctionName = await made("renumbered");
    await ask("PublishVersion", { FunctionName });
    await ask("DeleteFunction", { FunctionName, Qualifier: "1" });
    expect(await call("GetFunction", { FunctionName, Qualifier: "1" })).toMatchObject({
      error: "ResourceNotFoundException",
      body: { Message: `Function not found: ${arn(FunctionName)}:1` },
    });
    expect(await ask("PublishVersion", { FunctionName })).toMatchObject({ Version: "2" });
  });

  it("are listed after $LATEST, by pages", async () => {
    const FunctionName = await made("listed");
    for (const timeout of [4, 5, 6]) {
      await changed(FunctionName, timeout);
      await ask("PublishVersion", { FunctionName });
    }
    const numbers: unknown[] = [];
    let Marker: unknown;
    do {
      const page = await ask("ListVersionsByFunction", { FunctionName, MaxItems: 3, ...(Marker ? { Marker } : {}) });
      const versions = page.Versions as Array<Record<string, unknown>>;
      for (const version of versions) expect(version).not.toHaveProperty("State");
      numbers.push(versions.map((version) => version.Version));
      Marker = page.NextMarker;
    } while (Marker !== undefined);
    expect(numbers).toEqual([["$LATEST", "1", "2"], ["3"]]);
  });

  it("are published with the function, and become Active together with it", async () => {
    const basics = { Role: ROLE, Runtime: "python3.13", Handler: "app.handler", Code: { ZipFile } };
    const created = await ask("CreateFunction", { FunctionName: "at-once", ...basics, Publish: true });
    expect(created).toMatchObject({ Version: "1", FunctionArn: arn("at-once"), State: "Pending" });
    await atRest(call, "at-once");
    expect(await ask("GetFunctionConfiguration", { FunctionName: "at-once:1" })).toMatchObject({ State: "Active" });
    const ZipFile2 = (await zipOf({ "app.py": "pass" })).toString("base64");
    const update = await ask("UpdateFunctionCode", { FunctionName: "at-once", ZipFile: ZipFile2, Publish: true });
    expect(update).toMatchObject({ Version: "2", FunctionArn: `${arn("at-once")}:2` });
    await atRest(call, "at-once");
    expect(await ask("GetFunctionConfiguration", { FunctionName: "at-once", Qualifier: "2" })).toMatchObject({
      State: "Active",
      LastUpdateStatus: "Successful",
      CodeSha256: update.CodeSha256,
    });
  });

  it("are only published of the code and the revision the caller means", async () => {
    const FunctionName = await made("meant");
    const { CodeSha256 } = await atRest(call, FunctionName);
    expect(await call("PublishVersion", { FunctionName, CodeSha256: "another" })).toMatchObject({
      error: "InvalidParameterValueException",
      body: {
        message: expect.stringContaining(
          `CodeSHA256 (another) is different from current CodeSHA256 in $LATEST (${CodeSha256})`,
        ),
      },
    });
    expect((await call("PublishVersion", { FunctionName, RevisionId: "another" })).error).toBe(
      "PreconditionFailedException",
    );
  });
});

describe("aliases", () => {
  it("point to a version, are changed, listed and deleted", async () => {
    const FunctionName = await made("aliased");
    await ask("PublishVersion", { FunctionName });
    const created = await ask("CreateAlias", { FunctionName, Name: "live", FunctionVersion: "1" });
    expect(created).toEqual({
      AliasArn: `${arn("aliased")}:live`,
      Name: "live",
      FunctionVersion: "1",
      Description: "",
      RevisionId: expect.any(String),
    });
    expect(await ask("GetAlias", { FunctionName, Name: "live" })).toEqual(created);
    expect(await ask("GetFunctionConfiguration", { FunctionName, Qualifier: "live" })).toMatchObject({
      Version: "1",
      FunctionArn: `${arn("aliased")}:live`,
    });
    const updated = await ask("UpdateAlias", { FunctionName, Name: "live", FunctionVersion: "$LATEST" });
    expect(updated.RevisionId).not.toBe(created.RevisionId);
    await ask("CreateAlias", { FunctionName, Name: "beta", FunctionVersion: "1" });
    expect(await ask("ListAliases", { FunctionName, FunctionVersion: "1" })).toMatchObject({
      Aliases: [{ Name: "beta" }],
    });
    await ask("DeleteAlias", { FunctionName, Name: "live" });
    await ask("DeleteAlias", { FunctionName, Name: "live" });
    expect(await call("GetAlias", { FunctionName, Name: "live" })).toMatchObject({
      error: "ResourceNotFoundException",
      body: { Message: `Cannot find alias arn: ${arn("aliased")}:live` },
    });
  });

  it("keep the version they point to from being deleted", async () => {
    const FunctionName = await made("pinned");
    await ask("PublishVersion", { FunctionName });
    await ask("CreateAlias", { FunctionName, Name: "live", FunctionVersion: "1" });
    expect((await call("DeleteFunction", { FunctionName, Qualifier: "1" })).error).toBe("ResourceConflictException");
    await ask("DeleteAlias", { FunctionName, Name: "live" });
    await ask("DeleteFunction", { FunctionName, Qualifier: "1" });
  });

  it.each([
    [
      "CreateAlias",
      { Name: "here", FunctionVersion: "$LATEST" },
      "ResourceConflictException",
      "Alias already exists: ",
    ],
    ["CreateAlias", { Name: "new", FunctionVersion: "7" }, "ResourceNotFoundException", "Function not found: "],
    [
      "CreateAlias",
      { Name: "7", FunctionVersion: "1" },
      "ValidationException",
      "1 validation error detected: Value '7' at 'name'",
    ],
    ["UpdateAlias", { Name: "gone", FunctionVersion: "1" }, "ResourceNotFoundException", "Alias not found: "],
    ["UpdateAlias", { Name: "here", RevisionId: "another" }, "PreconditionFailedException", "The Revision Id provided"],
    [
      "UpdateAlias",
      { Name: "here", RoutingConfig: { AdditionalVersionWeights: { 1: 0.1 } } },
      "InvalidParameterValueException",
      "RoutingConfig is not supported",
    ],
  ])("%s of %o is refused: %s", async (operation, body, error, message) => {
    if ((await call("GetFunction", { FunctionName: "refusing" })).error !== undefined) {
      await made("refusing");
      await ask("CreateAlias", { FunctionName: "refusing", Name: "here", FunctionVersion: "$LATEST" });
    }
    const answer = await call(operation, { FunctionName: "refusing", ...body });
    expect(answer.error).toBe(error);
    expect(String(answer.body.message ?? answer.body.Message)).toContain(message);
  });
});
