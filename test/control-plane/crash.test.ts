/** A control plane that is killed with work in its hands: the next one finishes it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { NatsConnection } from "nats";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { atRest, type Call, caller, expecting, ROLE, runControlPlane } from "../support/control-plane.ts";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { HELLO_JS, zipOf } from "../support/zip.ts";

const PROGRAM = fileURLToPath(new URL("stuck-control-plane.ts", import.meta.url));
const children: ChildProcess[] = [];

let server: TestServer;
let person: NatsConnection;
let call: Call;
let ask: ReturnType<typeof expecting>;
let ZipFile: string;

beforeAll(async () => {
  server = await startTestServer();
  person = await server.connect("mayfly");
  call = caller(person);
  ask = expecting(call);
  ZipFile = (await zipOf({ "index.js": HELLO_JS })).toString("base64");
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});
afterAll(async () => server?.[Symbol.asyncDispose]());

/** A control plane in a process of its own that never comes back from one way into the store. */
async function stuckIn(way: "code.get" | "functions.delete"): Promise<() => Promise<void>> {
  const { user, password } = server.credentials.platform;
  const env = { ...process.env, URL: server.url, NATS_USER: user, NATS_PASSWORD: password, STUCK_IN: way };
  const child = spawn(process.execPath, [PROGRAM], { env, stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  for await (const line of createInterface({ input: child.stdout })) if (line === "ready") break;
  return async () => {
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  };
}

const wanted = (FunctionName: string) => ({
  FunctionName,
  Role: ROLE,
  Runtime: "nodejs22.x",
  Handler: "index.handler",
  Code: { ZipFile },
});

describe("after kill -9", () => {
  it("a function that was Pending becomes Active", async () => {
    const kill = await stuckIn("code.get");
    await ask("CreateFunction", wanted("pending"));
    expect((await call("PublishVersion", { FunctionName: "pending" })).error).toBe("ResourceConflictException");
    await kill();
    await using plane = await runControlPlane(server);
    await expect(atRest(call, "pending")).resolves.toMatchObject({ State: "Active", LastUpdateStatus: "Successful" });
    const entry = await plane.storage.functions.get("000000000000.pending");
    expect(entry?.value).toHaveProperty("serving");
  });

  it("an update that was in progress becomes successful, and the old configuration served until then", async () => {
    {
      await using _plane = await runControlPlane(server);
      await ask("CreateFunction", wanted("updating"));
      await atRest(call, "updating");
    }
    const kill = await stuckIn("code.get");
    const other = (await zipOf({ "index.js": "exports.handler = async () => 2" })).toString("base64");
    const update = await ask("UpdateFunctionCode", { FunctionName: "updating", ZipFile: other });
    await kill();
    await using plane = await runControlPlane(server);
    const after = await atRest(call, "updating");
    expect(after).toMatchObject({ LastUpdateStatus: "Successful", CodeSha256: update.CodeSha256 });
    const entry = await plane.storage.functions.get("000000000000.updating");
    expect(entry?.value).toMatchObject({ serving: { CodeSha256: update.CodeSha256 } });
  });

  it("a deletion is finished, and the function is gone for everybody in between", async () => {
    {
      await using _plane = await runControlPlane(server);
      await ask("CreateFunction", wanted("deleting"));
      await atRest(call, "deleting");
      await ask("PublishVersion", { FunctionName: "deleting" });
    }
    const kill = await stuckIn("functions.delete");
    // Nobody waits for this answer: it will not come.
    person.publish("mayfly.api.DeleteFunction", JSON.stringify({ FunctionName: "deleting" }));
    let seen: string | undefined;
    while (seen === undefined) seen = (await call("GetFunction", { FunctionName: "deleting" })).error;
    expect(seen).toBe("ResourceNotFoundException");
    await kill();
    await using plane = await runControlPlane(server);
    while ((await plane.storage.functions.get("000000000000.deleting")) !== undefined);
    expect(await plane.storage.functions.keys("000000000000.deleting.*")).toEqual([]);
    await ask("CreateFunction", wanted("deleting"));
  });
});
