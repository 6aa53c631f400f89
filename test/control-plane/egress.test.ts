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
  plane = await runControlPlane(server);
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
    ["127.0.0.1:4222", "not be in 127.0.0.0/8"],
    ["169.254.169.254:80", "not be in 169.254.0.0/16"],
    ["224.0.0.0/8", "not be in 224.0.0.0/4"],
  ])("can't be %s", async (destination, why) => {
    const { error, body } = await call("PutFunctionEgressConfig", { FunctionName, Allow: [destination] });
    expect([error, JSON.stringify(body)]).toEqual(["ValidationException", expect.stringContaining(why)]);
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
