/** What a function may reach of the network, through the API on a real server, and as the front end reads it. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openCatalogue } from "../../actors/frontend/catalogue.ts";
import { poolId } from "../../subjects/function.ts";
import { DEFAULT_ACCOUNT } from "../../subjects/tokens.ts";
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
  plane = await runControlPlane(server, { permittedNetworks: ["10.1.0.0/16"] });
  call = caller(await server.connect("mayfly"));
  ask = expecting(call);
  const ZipFile = (await zipOf({ "index.js": HELLO_JS })).toString("base64");
  await ask("CreateFunction", {
    FunctionName,
    Role: ROLE,
    Runtime: "python3.13",
    Handler: "app.handler",
    Code: { ZipFile },
  });
  await atRest(call, FunctionName);
});
afterAll(async () => {
  await plane?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

const FunctionName = "talker";
const put = (Allow: unknown) => ask("PutFunctionEgressConfig", { FunctionName, Allow });

describe("a function's egress", () => {
  it("is nothing until somebody says otherwise, and then what was said, once each", async () => {
    expect(await ask("GetFunctionEgressConfig", { FunctionName })).toEqual({ Allow: [] });
    const Allow = ["internet", "10.1.2.3:5432/tcp", "198.51.100.0/24:8000-8099"];
    expect(await put([...Allow, "internet"])).toEqual({ Allow });
    expect(await ask("GetFunctionEgressConfig", { FunctionName })).toEqual({ Allow });
    expect(await put([])).toEqual({ Allow: [] });
  });

  it("is seen by nobody who speaks AWS's words only", async () => {
    const before = await ask("GetFunction", { FunctionName });
    await put(["internet"]);
    expect(await ask("GetFunction", { FunctionName })).toEqual(before);
    await put([]);
  });

  it.each([
    ["Internet", "be internet, or"],
    ["example.com", "be internet, or"],
    ["2001:db8::1", "be internet, or"],
    ["198.51.100.7/24", "be internet, or"],
    ["198.51.100.0/33", "be internet, or"],
    ["198.51.100.256", "be internet, or"],
    ["198.51.100.7:0", "be internet, or"],
    ["198.51.100.7:90-80", "be internet, or"],
    ["198.51.100.7:65536", "be internet, or"],
    ["198.51.100.7/icmp", "be internet, or"],
  ])("can't be %s, which is no destination", async (destination, why) => {
    const { error, body } = await call("PutFunctionEgressConfig", { FunctionName, Allow: [destination] });
    expect([error, JSON.stringify(body)]).toEqual(["ValidationException", expect.stringContaining(why)]);
  });

  it.each([
    ["127.0.0.1:4222", "no function may reach 127.0.0.1:4222: it is in 127.0.0.0/8"],
    ["169.254.169.254:80", "no function may reach 169.254.169.254:80: it is in 169.254.0.0/16"],
    ["224.0.0.0/8", "no function may reach 224.0.0.0/8: it is in 224.0.0.0/4"],
    ["192.168.99.9:5432", "192.168.99.9:5432 is in the private network 192.168.0.0/16"],
    ["10.2.0.1", "10.2.0.1 is in the private network 10.0.0.0/8"],
    ["10.0.0.0/8", "10.0.0.0/8 is in the private network 10.0.0.0/8"],
    ["100.64.1.1/udp", "100.64.1.1/udp is in the private network 100.64.0.0/10"],
  ])("isn't set to %s, which may not be reached, and stays what it was", async (destination, why) => {
    await put(["198.51.100.7"]);
    const Allow = ["internet", "10.1.2.3", destination];
    const { error, body } = await call("PutFunctionEgressConfig", { FunctionName, Allow });
    expect([error, body.message]).toEqual(["InvalidParameterValueException", expect.stringContaining(why)]);
    expect(body.message).not.toContain("10.1.2.3");
    expect(await ask("GetFunctionEgressConfig", { FunctionName })).toEqual({ Allow: ["198.51.100.7"] });
    await put([]);
  });

  it("is the function's, not a version's, and must be said", async () => {
    for (const body of [
      { FunctionName: `${FunctionName}:1`, Allow: [] },
      { FunctionName },
      { FunctionName: "nobody", Allow: [] },
    ]) {
      expect((await call("PutFunctionEgressConfig", body)).error).toMatch(/Exception$/);
    }
    expect(await call("PutFunctionEgressConfig", { FunctionName, Allow: Array(51).fill("192.0.2.1") })).toMatchObject({
      error: "ValidationException",
    });
  });

  it("is in force for $LATEST and for versions alike, in sandboxes that never served with another", async () => {
    const { Version } = await ask("PublishVersion", { FunctionName });
    const superseded: string[] = [];
    const catalogue = await openCatalogue(plane.storage.functions, "us-east-1", (pool) => superseded.push(pool));
    try {
      const qualifiers = [undefined, String(Version)];
      const specs = () => qualifiers.map((each) => catalogue.find(DEFAULT_ACCOUNT, FunctionName, each));
      const pools = () => specs().map((spec) => spec && poolId(spec));
      const before = pools();
      await put(["internet"]);
      await expect.poll(() => specs().map((spec) => spec?.egress)).toEqual([["internet"], ["internet"]]);
      const open = pools();
      await put([]);
      await expect.poll(() => specs().map((spec) => spec?.egress)).toEqual([undefined, undefined]);
      const all = [...before, ...open, ...pools()];
      expect(new Set(all).size).toBe(6);
      expect(superseded).toEqual(all.slice(0, 4));
    } finally {
      catalogue.stop();
    }
  });
});
