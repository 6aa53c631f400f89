/** Many operations at once, on one control plane and on several, and what the `nats` CLI sees of it all. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { promisify } from "node:util";
import type { NatsConnection } from "nats";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Storage } from "../../actors/bus/storage.ts";
import type { FunctionRecord } from "../../subjects/function.ts";
import { arn, atRest, type Call, caller, expecting, ROLE, runControlPlane } from "../support/control-plane.ts";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { describeUnless, lackingIf } from "../support/unless.ts";
import { HELLO_JS, zipOf } from "../support/zip.ts";
import { recordIn } from "./given.ts";

let server: TestServer;
let person: NatsConnection;
let call: Call;
let ask: ReturnType<typeof expecting>;
let zip: Buffer;

beforeAll(async () => {
  server = await startTestServer();
  person = await server.connect("mayfly");
  call = caller(person);
  ask = expecting(call);
  zip = await zipOf({ "index.js": HELLO_JS });
});
afterAll(async () => server?.[Symbol.asyncDispose]());

const wanted = (FunctionName: string, code = zip) => ({
  FunctionName,
  Role: ROLE,
  Runtime: "nodejs22.x",
  Handler: "index.handler",
  Code: { ZipFile: code.toString("base64") },
});

const packageOf = (code: Buffer) => ({
  codeSha256: createHash("sha256").update(code).digest("base64"),
  codeSize: code.length,
});

const remove = (FunctionName: string) => ask("DeleteFunction", { FunctionName });

describe("one control plane", () => {
  it("handles what arrives at once in the order it arrived", async () => {
    await using _plane = await runControlPlane(server);
    const created = call("CreateFunction", wanted("ordered"));
    const early = call("UpdateFunctionConfiguration", { FunctionName: "ordered", Timeout: 5 });
    expect((await created).error).toBeUndefined();
    expect((await early).error).toBe("ResourceConflictException");
    await atRest(call, "ordered");
    const all = Array.from({ length: 30 }, (_, n) =>
      call("TagResource", { Resource: arn("ordered"), Tags: { last: String(n) } }),
    );
    for (const each of await Promise.all(all)) expect(each.error).toBeUndefined();
    expect(await ask("ListTags", { Resource: arn("ordered") })).toEqual({ Tags: { last: "29" } });
    const [deleted, anew] = await Promise.all([remove("ordered"), ask("CreateFunction", wanted("ordered"))]);
    expect([deleted, anew.State]).toEqual([{}, "Pending"]);
    await atRest(call, "ordered");
    await remove("ordered");
  });

  it("tells each transition once, as it happened", async () => {
    await using plane = await runControlPlane(server);
    const states: string[] = [];
    const watcher = plane.connection.subscribe("mayfly.state.function.*", {
      callback: (_error, message) => void states.push(message.json<{ to: string }>().to),
    });
    await ask("CreateFunction", wanted("told"));
    await atRest(call, "told");
    await remove("told");
    await plane.connection.flush();
    await watcher.drain();
    expect(states).toEqual(["unread", "pending.verifying", "pending.settling", "active", "deleting.erasing", "gone"]);
  });

  it("marks a function Failed whose package doesn't unpack, and heals it with a good one", async () => {
    await using plane = await runControlPlane(server);
    const broken = await zipOf({ "index.js": HELLO_JS.repeat(100) });
    broken.writeUInt32LE(7, broken.lastIndexOf(Buffer.from([0x50, 0x4b, 0x01, 0x02])) + 16);
    await ask("CreateFunction", wanted("broken", broken));
    const failed = await atRest(call, "broken");
    expect(failed).toMatchObject({
      State: "Failed",
      StateReasonCode: "InvalidZipFileException",
      StateReason: "index.js: the checksum does not match its content",
    });
    expect((await call("PublishVersion", { FunctionName: "broken" })).error).toBe("ResourceConflictException");
    await ask("UpdateFunctionCode", { FunctionName: "broken", ZipFile: zip.toString("base64") });
    const healed = await atRest(call, "broken");
    expect(healed).toMatchObject({ State: "Active", LastUpdateStatus: "Successful" });

    await ask("UpdateFunctionCode", { FunctionName: "broken", ZipFile: broken.toString("base64") });
    expect(await atRest(call, "broken")).toMatchObject({
      State: "Active",
      LastUpdateStatus: "Failed",
      CodeSha256: healed.CodeSha256,
    });
    const entry = await plane.storage.functions.get("000000000000.broken");
    expect(entry?.value).toMatchObject({ serving: { CodeSha256: healed.CodeSha256 } });
    await remove("broken");
  });

  it("answers by name when the bucket can't be asked, and is well afterwards", async () => {
    let broken = true;
    const failing = (storage: Storage): Storage => ({
      ...storage,
      functions: {
        ...storage.functions,
        get: (key) => (broken ? Promise.reject(new Error("no bucket")) : storage.functions.get(key)),
      },
    });
    await using _plane = await runControlPlane(server, { changed: failing });
    expect(await call("CreateFunction", wanted("stormy"))).toMatchObject({
      error: "ServiceException",
      body: { Type: "Service", Message: "no bucket" },
    });
    broken = false;
    await ask("CreateFunction", wanted("stormy"));
    await atRest(call, "stormy");
    await remove("stormy");
  });

  it("refuses what is no JSON, and accounts it doesn't serve", async () => {
    await using plane = await runControlPlane(server);
    const reply = await person.request("mayfly.api.CreateFunction", "{nonsense");
    expect(reply.headers?.get("Nats-Service-Error")).toMatch(
      /^InvalidRequestContentException: Could not parse request/,
    );
    const stranger = await plane.connection.request("mayfly.111111111111.api.ListFunctions", "{}");
    expect(stranger.headers?.get("Nats-Service-Error-Code")).toBe("403");
  });
});

describe("an account", () => {
  it("reserves concurrency down to 100 unreserved, also when many ask at once, and lists by pages", async () => {
    await using _plane = await runControlPlane(server, { concurrencyLimit: 250 });
    const names = ["page-a", "page-b", "page-c"];
    for (const name of names) await ask("CreateFunction", wanted(name));
    for (const name of names) await atRest(call, name);
    const answers = await Promise.all(
      names.map((FunctionName) => call("PutFunctionConcurrency", { FunctionName, ReservedConcurrentExecutions: 60 })),
    );
    expect(answers.filter(({ error }) => error === undefined)).toHaveLength(2);
    expect(answers.find(({ error }) => error !== undefined)).toMatchObject({
      error: "InvalidParameterValueException",
      body: { message: expect.stringContaining("below its minimum value of [100].") },
    });
    expect(await ask("GetAccountSettings")).toMatchObject({
      AccountLimit: { ConcurrentExecutions: 250, UnreservedConcurrentExecutions: 130, CodeSizeZipped: 52428800 },
      AccountUsage: { FunctionCount: 3, TotalCodeSize: 3 * zip.length },
    });
    const first = await ask("ListFunctions", { MaxItems: 2 });
    const second = await ask("ListFunctions", { MaxItems: 2, Marker: first.NextMarker });
    const listed = (page: Record<string, unknown>) =>
      (page.Functions as Array<Record<string, unknown>>).map(({ FunctionName, State }) => [FunctionName, State]);
    expect(listed(first)).toEqual([
      ["page-a", undefined],
      ["page-b", undefined],
    ]);
    expect(listed(second)).toEqual([["page-c", undefined]]);
    expect(second).not.toHaveProperty("NextMarker");
    for (const name of names) await remove(name);
  });
});

describe("several control planes", () => {
  it("never lose or mix up operations on one function", async () => {
    await using _one = await runControlPlane(server);
    await using _two = await runControlPlane(server);
    await using _three = await runControlPlane(server);
    await ask("CreateFunction", wanted("shared"));
    await atRest(call, "shared");
    const tags = Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`tag-${n}`, "x"]));
    const tagging = Object.keys(tags).map((tag) =>
      ask("TagResource", { Resource: arn("shared"), Tags: { [tag]: "x" } }),
    );
    const publishing = Array.from({ length: 10 }, () => ask("PublishVersion", { FunctionName: "shared" }));
    await Promise.all(tagging);
    expect(await ask("ListTags", { Resource: arn("shared") })).toEqual({ Tags: tags });
    const published = await Promise.all(publishing);
    const versions = await ask("ListVersionsByFunction", { FunctionName: "shared" });
    expect(new Set(published.map(({ Version }) => Version)).size).toBe(1);
    expect(versions.Versions).toHaveLength(2);
    await remove("shared");
    expect((await call("GetFunction", { FunctionName: "shared" })).error).toBe("ResourceNotFoundException");
  });

  it("take up what another left unfinished and did not come back to", async () => {
    await using plane = await runControlPlane(server, { patienceMs: 50 });
    const record = recordIn("pending") as FunctionRecord;
    const { codeSha256, codeSize } = packageOf(zip);
    await plane.storage.code.put(Buffer.from(codeSha256, "base64").toString("hex"), zip);
    const configuration = { ...record.configuration, CodeSha256: codeSha256, CodeSize: codeSize };
    await plane.storage.functions.create("000000000000.f", { ...record, configuration });
    await expect(atRest(call, "f")).resolves.toMatchObject({ State: "Active", LastUpdateStatus: "Successful" });
    await remove("f");
  });
});

const run = promisify(execFile);
const cli = await run("nats", ["--version"]).then(
  () => true,
  () => false,
);

describeUnless(lackingIf(!cli, "there is no `nats` on PATH"))("the nats CLI, where there is one on PATH", () => {
  it("asks and lists the control plane", async () => {
    await using _plane = await runControlPlane(server);
    const { user, password } = server.credentials.mayfly;
    const nats = async (...args: string[]) =>
      (await run("nats", ["--server", server.url, "--user", user, "--password", password, ...args])).stdout;
    expect(await nats("req", "--raw", "mayfly.api.ListFunctions", "{}")).toContain('{"Functions":[]}');
    expect(await nats("micro", "ls")).toContain("control-plane");
    const info = await nats("micro", "info", "control-plane");
    expect(info).toContain("mayfly.*.api.CreateFunction");
    expect(await nats("micro", "stats", "control-plane")).toContain("ListFunctions");
  });
});
