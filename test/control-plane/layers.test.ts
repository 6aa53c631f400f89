/** Layers through the API, on a real server: shapes, numbers and refusals as Lambda's clients see them. */
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FunctionRecord, specOf } from "../../subjects/function.ts";
import {
  type Answer,
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
let code: string;

beforeAll(async () => {
  server = await startTestServer();
  plane = await runControlPlane(server);
  call = caller(await server.connect("mayfly"));
  ask = expecting(call);
  zip = await zipOf({ "nodejs/node_modules/dep/index.js": "module.exports = 1;" });
  code = (await zipOf({ "index.js": HELLO_JS })).toString("base64");
});
afterAll(async () => {
  await plane?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

const layerArn = (layer: string) => `arn:aws:lambda:us-east-1:000000000000:layer:${layer}`;
const publish = (LayerName: string, more: object = {}, ZipFile = zip.toString("base64")) =>
  ask("PublishLayerVersion", { LayerName, Content: { ZipFile }, ...more });
const create = (FunctionName: string, Layers: readonly string[]) => ({
  FunctionName,
  Role: ROLE,
  Runtime: "nodejs24.x",
  Handler: "index.handler",
  Code: { ZipFile: code },
  Layers,
});
const invalid = (message: string): Answer => ({
  error: "InvalidParameterValueException",
  body: { Type: "User", message },
});
const gone: Answer = {
  error: "ResourceNotFoundException",
  body: { Type: "User", Message: "The resource you requested does not exist." },
};

describe("publishing", () => {
  it("answers with Lambda's shape, and Get by name or ARN with the same", async () => {
    const published = await publish("shaped", {
      Description: "all of it",
      LicenseInfo: "MIT",
      CompatibleRuntimes: ["nodejs24.x", "java21"],
      CompatibleArchitectures: ["x86_64"],
    });
    const hash = createHash("sha256").update(zip);
    const sha256 = hash.copy().digest("hex");
    expect(published).toEqual({
      Content: {
        Location: `nats-obj://CODE/${sha256}`,
        CodeSha256: hash.digest("base64"),
        CodeSize: zip.length,
      },
      LayerArn: layerArn("shaped"),
      LayerVersionArn: `${layerArn("shaped")}:1`,
      Description: "all of it",
      CreatedDate: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000$/),
      Version: 1,
      CompatibleRuntimes: ["nodejs24.x", "java21"],
      CompatibleArchitectures: ["x86_64"],
      LicenseInfo: "MIT",
    });
    expect(await ask("GetLayerVersion", { LayerName: "shaped", VersionNumber: 1 })).toEqual(published);
    expect(await ask("GetLayerVersion", { LayerName: layerArn("shaped"), VersionNumber: 1 })).toEqual(published);
    expect(await ask("GetLayerVersionByArn", { Arn: `${layerArn("shaped")}:1` })).toEqual(published);
  });

  it("counts on, never uses a number twice, and gives each of many at once its own", async () => {
    const numbers = await Promise.all(Array.from({ length: 8 }, () => publish("counted")));
    expect(numbers.map(({ Version }) => Version).sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    await ask("DeleteLayerVersion", { LayerName: "counted", VersionNumber: 8 });
    expect((await publish("counted")).Version).toBe(9);
  });

  it("takes a package that lies in the object store", async () => {
    const sha256 = createHash("sha256").update(zip).digest("hex");
    await plane.storage.code.put(sha256, zip);
    const stored = await ask("PublishLayerVersion", {
      LayerName: "stored",
      Content: { S3Bucket: "CODE", S3Key: sha256 },
    });
    expect(stored).toMatchObject({ Version: 1, Content: { CodeSize: zip.length } });
  });

  it("refuses what is no zip, what no worker would unpack, and what isn't what it says, before there is a version", async () => {
    const torn = Buffer.from(await zipOf({ "lib/a": "a".repeat(1000) }));
    torn[37] = (torn[37] ?? 0) ^ 0xff;
    const device = Buffer.from(handMadeZip([{ name: "lib/null", mode: 0o020666 }]));
    for (const bytes of [Buffer.from("no zip"), torn, device]) {
      const refused = await call("PublishLayerVersion", {
        LayerName: "torn",
        Content: { ZipFile: bytes.toString("base64") },
      });
      expect(refused.error).toBe("InvalidParameterValueException");
    }
    expect(await ask("ListLayerVersions", { LayerName: "torn" })).toEqual({ LayerVersions: [] });
  });

  it.each([
    [
      { LayerName: "not a name" },
      "at 'layerName' failed to satisfy constraint: Member must satisfy regular expression",
    ],
    [{ LayerName: "l".repeat(141) }, "at 'layerName' failed to satisfy constraint: Member must have length less"],
    [{ CompatibleRuntimes: ["cobol"] }, "Value '[cobol]' at 'compatibleRuntimes' failed to satisfy constraint"],
    [{ CompatibleArchitectures: ["z80"] }, "Value '[z80]' at 'compatibleArchitectures' failed to satisfy constraint"],
    [{ LicenseInfo: "l".repeat(513) }, "at 'licenseInfo' failed to satisfy constraint: Member must have length less"],
    [{ Content: undefined }, "Value null at 'content' failed to satisfy constraint: Member must not be null"],
  ])("%o is a ValidationException", async (wrong, what) => {
    const body = { LayerName: "checked", Content: { ZipFile: zip.toString("base64") }, ...wrong };
    expect(await call("PublishLayerVersion", body)).toMatchObject({
      error: "ValidationException",
      body: { message: expect.stringContaining(what) },
    });
  });
});

describe("looking", () => {
  it("lists layers by their newest matching version, and versions newest first, by pages", async () => {
    await publish("listed-a", { CompatibleRuntimes: ["python3.13"] });
    await publish("listed-a", { CompatibleArchitectures: ["arm64"] });
    await publish("listed-b", { CompatibleRuntimes: ["python3.13"] });
    const matching = await ask("ListLayers", { CompatibleRuntime: "python3.13" });
    expect(matching).toMatchObject({
      Layers: [
        { LayerName: "listed-a", LayerArn: layerArn("listed-a"), LatestMatchingVersion: { Version: 1 } },
        { LayerName: "listed-b", LatestMatchingVersion: { Version: 1, CompatibleRuntimes: ["python3.13"] } },
      ],
    });
    const first = await ask("ListLayers", { CompatibleRuntime: "python3.13", MaxItems: 1 });
    const next = { CompatibleRuntime: "python3.13", Marker: first.NextMarker };
    expect(await ask("ListLayers", next)).toMatchObject({ Layers: [{ LayerName: "listed-b" }] });
    const versions = async (body: object) =>
      ((await ask("ListLayerVersions", { LayerName: "listed-a", ...body })).LayerVersions as { Version: number }[]).map(
        ({ Version }) => Version,
      );
    expect(await versions({})).toEqual([2, 1]);
    const { NextMarker } = await ask("ListLayerVersions", { LayerName: "listed-a", MaxItems: 1 });
    expect(await versions({ Marker: NextMarker })).toEqual([1]);
    expect(await versions({ CompatibleArchitecture: "arm64" })).toEqual([2]);
    expect((await call("ListLayers", { MaxItems: 51 })).error).toBe("ValidationException");
  });

  it("says by name what isn't there, and what can't be", async () => {
    await publish("looked");
    expect(await call("GetLayerVersion", { LayerName: "looked", VersionNumber: 2 })).toEqual(gone);
    expect(await call("GetLayerVersion", { LayerName: "nobody", VersionNumber: 1 })).toEqual(gone);
    expect(await call("GetLayerVersionByArn", { Arn: `${layerArn("looked")}:2` })).toEqual(gone);
    expect(await call("GetLayerVersion", { LayerName: "looked", VersionNumber: 0 })).toEqual(
      invalid("Layer Version Cannot be less than 1."),
    );
    expect((await call("GetLayerVersionByArn", { Arn: layerArn("looked") })).error).toBe("ValidationException");
    const stranger = `arn:aws:lambda:us-east-1:111111111111:layer:looked`;
    expect((await call("GetLayerVersion", { LayerName: stranger, VersionNumber: 1 })).error).toBe(
      "AccessDeniedException",
    );
  });

  it("counts layers among the account's code", async () => {
    const size = async () =>
      ((await ask("GetAccountSettings")).AccountUsage as { TotalCodeSize: number }).TotalCodeSize;
    const before = await size();
    await publish("sized");
    expect(await size()).toBe(before + zip.length);
  });
});

describe("a function's layers", () => {
  it("are told with their sizes and nothing of ours, in their order, and can be taken away", async () => {
    const one = String((await publish("one")).LayerVersionArn);
    const two = String((await publish("two")).LayerVersionArn);
    const told = (...arns: string[]) => arns.map((Arn) => ({ Arn, CodeSize: zip.length }));
    const created = await ask("CreateFunction", create("layered", [two, one]));
    expect(created.Layers).toEqual(told(two, one));
    const active = await atRest(call, "layered");
    const { Configuration } = await ask("GetFunction", { FunctionName: "layered" });
    const published = await ask("PublishVersion", { FunctionName: "layered" });
    const listed = await ask("ListVersionsByFunction", { FunctionName: "layered" });
    for (const each of [created, active, Configuration as object, published])
      expect(each).not.toHaveProperty("content");
    expect(JSON.stringify(listed)).not.toContain("content");
    expect(published.Layers).toEqual(told(two, one));
    await ask("UpdateFunctionConfiguration", { FunctionName: "layered", Layers: [one] });
    expect((await atRest(call, "layered")).Layers).toEqual(told(one));
    await ask("UpdateFunctionConfiguration", { FunctionName: "layered", Timeout: 9 });
    expect((await atRest(call, "layered")).Layers).toEqual(told(one));
    expect((await ask("PublishVersion", { FunctionName: "layered" })).Version).toBe("2");
    await ask("UpdateFunctionConfiguration", { FunctionName: "layered", Layers: [] });
    expect(await atRest(call, "layered")).not.toHaveProperty("Layers");
  });

  it("stay what they were when the version is deleted, and can't be given again", async () => {
    const arn = String((await publish("short-lived")).LayerVersionArn);
    await ask("CreateFunction", create("keeper", [arn]));
    await atRest(call, "keeper");
    await ask("DeleteLayerVersion", { LayerName: "short-lived", VersionNumber: 1 });
    expect(await ask("DeleteLayerVersion", { LayerName: "short-lived", VersionNumber: 1 })).toEqual({});
    expect(await call("GetLayerVersion", { LayerName: "short-lived", VersionNumber: 1 })).toEqual(gone);
    await ask("UpdateFunctionConfiguration", { FunctionName: "keeper", Timeout: 9 });
    await atRest(call, "keeper");
    const { serving } = FunctionRecord.parse((await plane.storage.functions.get("000000000000.keeper"))?.value);
    const sha256 = createHash("sha256").update(zip).digest("hex");
    expect(serving && specOf("000000000000", serving).layerSha256s).toEqual([sha256]);
    const again = await call("UpdateFunctionConfiguration", { FunctionName: "keeper", Layers: [arn] });
    expect(again).toEqual(invalid(`Layer version ${arn} does not exist.`));
  });

  it("must exist, be of this region and account, and of different layers", async () => {
    await publish("twice");
    await publish("twice");
    const refused = (...arns: string[]) => call("CreateFunction", create("refused", arns));
    const [first, second] = [`${layerArn("twice")}:1`, `${layerArn("twice")}:2`];
    expect(await refused(first, second)).toEqual(
      invalid(
        `Two different versions of the same layer are not allowed to be referenced in the same function. ${first} and ${second} are versions of the same layer.`,
      ),
    );
    const nowhere = `${layerArn("nowhere")}:1`;
    expect(await refused(nowhere)).toEqual(invalid(`Layer version ${nowhere} does not exist.`));
    expect(await refused("arn:aws:lambda:eu-west-1:000000000000:layer:twice:1")).toEqual(
      invalid("Layers are not in the same region as the function. Layers are expected to be in region us-east-1."),
    );
    expect((await refused("arn:aws:lambda:us-east-1:111111111111:layer:twice:1")).error).toBe("AccessDeniedException");
    expect((await call("GetFunction", { FunctionName: "refused" })).error).toBe("ResourceNotFoundException");
  });

  it("may be 250 MB unpacked, together with the code", async () => {
    const zeros = await zipOf({ "lib/zeros": Buffer.alloc(131_072_000) });
    const arns = [];
    for (const name of ["half", "other-half"])
      arns.push(String((await publish(name, {}, zeros.toString("base64"))).LayerVersionArn));
    const [half = ""] = arns;
    await ask("CreateFunction", create("roomy", [half]));
    await atRest(call, "roomy");
    const message = `Function code combined with layers exceeds the maximum allowed size of 262144000 bytes. The actual size is ${262_144_000 + HELLO_JS.length} bytes.`;
    expect(await call("UpdateFunctionConfiguration", { FunctionName: "roomy", Layers: arns })).toEqual(
      invalid(message),
    );
    expect(await call("CreateFunction", create("too-large", arns))).toEqual(invalid(message));
    const more = (await zipOf({ "index.js": HELLO_JS, zeros: Buffer.alloc(131_072_000) })).toString("base64");
    expect((await call("UpdateFunctionCode", { FunctionName: "roomy", ZipFile: more })).body.message).toContain(
      "Function code combined with layers exceeds",
    );
  });
});
