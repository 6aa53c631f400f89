/** Requests that are refused before any function is looked at, in Lambda's words. */
import { describe, expect, it } from "vitest";
import { readCreateFunction } from "../../actors/control-plane/operations/create-function.ts";
import { readUpdateConfiguration } from "../../actors/control-plane/operations/update-function.ts";
import { Constraints } from "../../actors/control-plane/validation/constraints.ts";
import { functionNamed } from "../../actors/control-plane/validation/names.ts";
import { RUNTIMES } from "../../actors/control-plane/validation/runtimes.ts";
import { Refused } from "../../subjects/errors.ts";

const CALLER = { acct: "000000000000", region: "us-east-1" };
const GOOD = {
  FunctionName: "f",
  Role: "arn:aws:iam::000000000000:role/r",
  Runtime: "nodejs22.x",
  Handler: "index.handler",
  Code: { ZipFile: "UEs=" },
};

function refusalOf(read: () => unknown): { name: string; message: string } {
  try {
    read();
  } catch (error) {
    if (error instanceof Refused) return error.refusal;
    throw error;
  }
  return { name: "nothing", message: "was refused" };
}

const create = (body: object) => refusalOf(() => readCreateFunction(new Constraints({ ...GOOD, ...body }), CALLER));
const failed = (what: string) => `1 validation error detected: Value ${what}`;

describe("CreateFunction", () => {
  it("takes a good request", () => expect(create({}).name).toBe("nothing"));

  it.each([
    [
      { Timeout: 901 },
      "'901' at 'timeout' failed to satisfy constraint: Member must have value less than or equal to 900",
    ],
    [
      { Timeout: 0 },
      "'0' at 'timeout' failed to satisfy constraint: Member must have value greater than or equal to 1",
    ],
    [
      { MemorySize: 127 },
      "'127' at 'memorySize' failed to satisfy constraint: Member must have value greater than or equal to 128",
    ],
    [
      { MemorySize: 10241 },
      "'10241' at 'memorySize' failed to satisfy constraint: Member must have value less than or equal to 10240",
    ],
    [
      { EphemeralStorage: { Size: 1 } },
      "'1' at 'ephemeralStorage.size' failed to satisfy constraint: Member must have value greater than or equal to 512",
    ],
    [
      { Handler: "a b" },
      "'a b' at 'handler' failed to satisfy constraint: Member must satisfy regular expression pattern: [^\\s]+",
    ],
    [{ Role: undefined }, "null at 'role' failed to satisfy constraint: Member must not be null"],
    [{ Code: undefined }, "null at 'code' failed to satisfy constraint: Member must not be null"],
    [{ FunctionName: undefined }, "null at 'functionName' failed to satisfy constraint: Member must not be null"],
    [
      { PackageType: "Tar" },
      "'Tar' at 'packageType' failed to satisfy constraint: Member must satisfy enum value set: [Image, Zip]",
    ],
    [
      { TracingConfig: { Mode: "On" } },
      "'On' at 'tracingConfig.mode' failed to satisfy constraint: Member must satisfy enum value set: [Active, PassThrough]",
    ],
    [
      { LoggingConfig: { LogFormat: "JSON", SystemLogLevel: "ERROR" } },
      "'ERROR' at 'loggingConfig.systemLogLevel' failed to satisfy constraint: Member must satisfy enum value set: [DEBUG, INFO, WARN]",
    ],
    [{ Description: "x".repeat(257) }, "length less than or equal to 256"],
    [
      { Environment: { Variables: { "1A": "x" } } },
      "at 'environment.variables' failed to satisfy constraint: Member must satisfy constraint: [Map keys",
    ],
    [
      { Architectures: ["z80"] },
      `'["z80"]' at 'architectures' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64]`,
    ],
    [
      { Layers: ["arn:aws:lambda:us-east-1:000000000000:layer:no-version"] },
      "'[arn:aws:lambda:us-east-1:000000000000:layer:no-version]' at 'layers' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 140",
    ],
    [
      { FunctionName: "no spaces" },
      "'no spaces' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern: (arn:",
    ],
  ])("%o is a ValidationException", (body, what) => {
    const { name, message } = create(body);
    expect([name, message]).toEqual(["ValidationException", expect.stringContaining(what)]);
    expect(message).toMatch(failed(""));
  });

  it("tells of everything that is wrong at once", () => {
    expect(create({ Timeout: 0, MemorySize: 1 }).message).toMatch(
      /^2 validation errors detected: Value '0' at 'timeout' .*; Value '1' at 'memorySize' /,
    );
  });

  it.each([
    [{ Runtime: undefined }, "Runtime is mandatory for functions created with deployment packages."],
    [{ Handler: undefined }, "Handler is mandatory for functions created with deployment packages."],
    [
      { Runtime: "ruby3.3" },
      `Value ruby3.3 at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [${RUNTIMES.join(", ")}] or be a valid ARN`,
    ],
    [{ FunctionName: "x".repeat(65) }, "length less than or equal to 64"],
    [{ Code: {} }, "Please provide a source for function code."],
    [{ Code: { S3Bucket: "mine", S3Key: "k" } }, "S3 Error Code: NoSuchBucket."],
    [
      { Code: { ZipFile: "UEs=", S3Key: "k" } },
      "Please do not provide other FunctionCode parameters when providing a ZipFile.",
    ],
    [
      { Layers: [1, 2, 3, 4, 5, 6].map((n) => `arn:aws:lambda:us-east-1:000000000000:layer:l${n}:1`) },
      "Cannot reference more than 5 layers.",
    ],
    [{ Environment: { Variables: { BIG: "x".repeat(5000) } } }, "exceeded the 4KB limit. String measured: {"],
    [{ Environment: { Variables: { AWS_REGION: "x" } } }, "Reserved keys used in this request: AWS_REGION"],
    [
      { Tags: Object.fromEntries(Array.from({ length: 51 }, (_, n) => [`k${n}`, ""])) },
      "Number of tags exceeds resource tag limit.",
    ],
  ])("%o is an InvalidParameterValueException", (body, what) => {
    expect(create(body)).toMatchObject({
      name: "InvalidParameterValueException",
      message: expect.stringContaining(what),
    });
  });

  it.each([
    { VpcConfig: { SubnetIds: ["subnet-1"], SecurityGroupIds: [] } },
    { PackageType: "Image" },
    { SnapStart: { ApplyOn: "PublishedVersions" } },
    { KMSKeyArn: "arn:aws:kms:us-east-1:000000000000:key/1" },
  ])("%o is refused by name, not taken and ignored", (body) => {
    expect(create(body)).toMatchObject({
      name: "InvalidParameterValueException",
      message: expect.stringContaining("is not supported by this control plane."),
    });
  });

  it("takes the empty forms of what isn't supported, which clients send", () => {
    expect(
      create({ Layers: [], VpcConfig: { SubnetIds: [], SecurityGroupIds: [] }, SnapStart: { ApplyOn: "None" } }).name,
    ).toBe("nothing");
  });

  it("can't read a field of the wrong type", () => {
    expect(create({ Timeout: "3" })).toEqual({
      name: "InvalidRequestContentException",
      message: "Could not parse request body into json: Timeout must be a whole number",
    });
  });
});

describe("UpdateFunctionConfiguration", () => {
  it("is for $LATEST only", () => {
    const read = () => readUpdateConfiguration(new Constraints({ FunctionName: "f:1" }), CALLER);
    expect(refusalOf(read).name).toBe("InvalidParameterValueException");
  });
});

const named = (body: object) => functionNamed(new Constraints({ ...body }), CALLER);

describe("a function's name", () => {
  it.each([
    ["f", undefined],
    ["f:7", "7"],
    ["f:live", "live"],
    ["f:$LATEST", "$LATEST"],
    ["function:f", undefined],
    ["000000000000:function:f:7", "7"],
    ["arn:aws:lambda:us-east-1:000000000000:function:f", undefined],
    ["arn:aws:lambda:us-east-1:000000000000:function:f:live", "live"],
  ])("may be %s", (FunctionName, qualifier) => {
    expect(named({ FunctionName })).toEqual({ fn: "f", qualifier });
  });

  it("may be qualified twice, if it is the same", () => {
    expect(named({ FunctionName: "f:1", Qualifier: "1" })).toEqual({ fn: "f", qualifier: "1" });
    expect(refusalOf(() => named({ FunctionName: "f:1", Qualifier: "2" }))).toMatchObject({
      message: "The derived qualifier from the function name does not match the specified qualifier.",
    });
  });

  it("may not be in another region, nor of another account", () => {
    const inRegion = (region: string, acct: string) => ({
      FunctionName: `arn:aws:lambda:${region}:${acct}:function:f`,
    });
    expect(refusalOf(() => named(inRegion("eu-west-1", "000000000000")))).toEqual({
      name: "ResourceNotFoundException",
      message: "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')",
    });
    expect(refusalOf(() => named(inRegion("us-east-1", "111111111111"))).name).toBe("AccessDeniedException");
  });
});
