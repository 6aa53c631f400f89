/** Invoking over NATS, as any NATS client does: what comes back for every kind of call. */
import { headers, type Msg, type NatsConnection } from "nats";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { api, deploy } from "../support/functions.ts";
import { type RunningSystem, startMayfly } from "../support/system.ts";

let system: RunningSystem;
let nats: NatsConnection;

const FILES = {
  "index.mjs": `
    let calls = 0;
    export const hello = async (event, context) => {
      calls += 1;
      console.log("greeting", event.name);
      return { message: "Hello, " + (event.name ?? "world") + "!", calls, remaining: context.getRemainingTimeInMillis() > 0 };
    };
    export const fails = async () => { throw new TypeError("no such thing"); };
    export const sleeps = () => new Promise((resolve) => setTimeout(resolve, 60_000));
    export const waitsForNothing = () => new Promise(() => {});
    export const exits = async () => { console.log("last words"); process.exit(7); };
    export const speaksAndSleeps = () => { console.log("last words"); return sleeps(); };
    export const killsItself = async () => { console.log("last words"); process.kill(process.pid, "SIGKILL"); };
    export const fillsItsMemory = async () => {
      console.log("last words");
      for (const kept = []; ; ) kept.push(Buffer.alloc(8 << 20, 1));
    };
    export const exitsWell = async () => process.exit(0);
    export const large = async () => "x".repeat(6_300_000);
    export const echo = async (event) => event;
    export const callback = (event, context, callback) => callback(null, { by: "callback" });
    export const nothing = async () => {};
    export const about = async (event, context) => ({ ...context, env: process.env.GREETING });
  `,
  "broken.mjs": "export const handler = (;\n",
};

beforeAll(async () => {
  system = await startMayfly();
  nats = await system.connect();
  const as = await system.connect("platform");
  const of = (name: string, handler: string, timeout = 10) =>
    deploy(as, { name, files: FILES, handler, timeout, environment: { GREETING: "Hi" } });
  await Promise.all([
    of("hello", "index.hello"),
    of("fails", "index.fails"),
    of("sleeps", "index.sleeps", 1),
    of("waits-for-nothing", "index.waitsForNothing"),
    of("exits", "index.exits"),
    of("exits-well", "index.exitsWell"),
    of("speaks-and-sleeps", "index.speaksAndSleeps", 1),
    of("kills-itself", "index.killsItself"),
    of("fills-its-memory", "index.fillsItsMemory"),
    of("large", "index.large"),
    of("echo", "index.echo"),
    of("callback", "index.callback"),
    of("nothing", "index.nothing"),
    of("about", "index.about"),
    of("broken", "broken.handler"),
  ]);
});
afterAll(() => system?.[Symbol.asyncDispose]());

const invoke = (fn: string, payload: string | Uint8Array = "{}", with_: Record<string, string> = {}): Promise<Msg> => {
  const sent = headers();
  for (const [name, value] of Object.entries(with_)) sent.set(name, value);
  return nats.request(`mayfly.invoke.${fn}`, payload, { timeout: 30_000, headers: sent });
};
const header = (reply: Msg, name: string) => reply.headers?.get(name) || undefined;

describe("a function that works", () => {
  test("answers its handler's JSON, cold and then warm in the same sandbox", async () => {
    const first = await invoke("hello", '{"name":"Ada"}');
    const second = await invoke("hello", '{"name":"Grace"}');
    expect(first.json()).toEqual({ message: "Hello, Ada!", calls: 1, remaining: true });
    expect(second.json()).toEqual({ message: "Hello, Grace!", calls: 2, remaining: true });
    expect([header(first, "Mayfly-Start"), header(second, "Mayfly-Start")]).toEqual(["cold", "warm"]);
    expect(header(first, "Mayfly-Sandbox")).toBe(header(second, "Mayfly-Sandbox"));
  });

  test("tells the request id, the executed version and where the time went", async () => {
    const reply = await invoke("hello");
    expect(header(reply, "X-Amzn-RequestId")).toMatch(/^[0-9a-f-]{36}$/);
    expect(header(reply, "X-Amz-Executed-Version")).toBe("$LATEST");
    expect(header(reply, "Mayfly-Receipt")).toMatch(/^queued=\d+us; create=\d+us; init=\d+us; run=\d+us$/);
    expect(header(reply, "Mayfly-Sandbox")).toMatch(/^worker-\w+\/\S+ bubblewrap$/);
    expect(header(reply, "X-Amz-Function-Error")).toBeUndefined();
    expect(header(reply, "Nats-Service-Error-Code")).toBeUndefined();
  });

  test("an empty payload is an empty event, and no result is null", async () => {
    expect((await invoke("echo", "")).json()).toEqual({});
    expect((await invoke("nothing")).string()).toBe("null");
  });

  test("payloads pass as they are, up to 6 MB", async () => {
    const text = JSON.stringify({ text: "ü€😀".repeat(100_000) });
    expect((await invoke("echo", text)).json()).toEqual(JSON.parse(text));
  });

  test("callback handlers work", async () => {
    expect((await invoke("callback")).json()).toEqual({ by: "callback" });
  });

  test("finds the context object and its environment", async () => {
    expect((await invoke("about")).json()).toMatchObject({
      functionName: "about",
      functionVersion: "$LATEST",
      invokedFunctionArn: "arn:aws:lambda:us-east-1:000000000000:function:about",
      memoryLimitInMB: "128",
      logGroupName: "/aws/lambda/about",
      logStreamName: expect.stringMatching(/^\d{4}\/\d\d\/\d\d\/\[\$LATEST\][0-9a-f]{32}$/),
      env: "Hi",
    });
  });

  test("the end of its log comes back when asked for", async () => {
    const reply = await invoke("hello", '{"name":"Tail"}', { "X-Amz-Log-Type": "Tail" });
    const log = Buffer.from(header(reply, "X-Amz-Log-Result") ?? "", "base64").toString();
    const id = header(reply, "X-Amzn-RequestId");
    expect(log).toMatch(new RegExp(`^START RequestId: ${id} Version: \\$LATEST\n`));
    expect(log).toContain(`\t${id}\tINFO\tgreeting Tail\n`);
    expect(log).toMatch(
      /END RequestId: .*\nREPORT RequestId: .*\tDuration: .* ms\tBilled Duration: \d+ ms\tMemory Size: 128 MB/,
    );
  });

  test.each([
    { what: "it ended itself", fn: "exits", status: "Status: error\tError Type: Runtime.ExitError" },
    { what: "it killed itself", fn: "kills-itself", status: "Status: error\tError Type: Runtime.ExitError" },
    { what: "it took too much", fn: "fills-its-memory", status: "Status: error\tError Type: Runtime.OutOfMemory" },
    { what: "it took too long", fn: "speaks-and-sleeps", status: "Status: timeout" },
  ])("the end of its log comes back also when $what", async ({ fn, status }) => {
    const reply = await invoke(fn, "{}", { "X-Amz-Log-Type": "Tail" });
    const log = Buffer.from(header(reply, "X-Amz-Log-Result") ?? "", "base64").toString();
    expect(log).toMatch(/^START .*\n.*last words\n(.*\n)*END .*\nREPORT .*\tMax Memory Used: \d+ MB/);
    expect(log).toContain(status);
  });

  test("a client context reaches the handler", async () => {
    const clientContext = Buffer.from('{"custom":{"k":"v"}}').toString("base64");
    const reply = await invoke("about", "{}", { "X-Amz-Client-Context": clientContext });
    expect(reply.json()).toMatchObject({ clientContext: { custom: { k: "v" } } });
  });

  test("a dry run answers without running it", async () => {
    const before = (await invoke("hello")).json<{ calls: number }>().calls;
    expect((await invoke("hello", "{}", { "X-Amz-Invocation-Type": "DryRun" })).data.length).toBe(0);
    expect((await invoke("hello")).json<{ calls: number }>().calls).toBe(before + 1);
  });

  test("a published version and an alias are invoked by their name", async () => {
    const { Version } = await api(nats, "PublishVersion", { FunctionName: "echo" });
    await api(nats, "CreateAlias", { FunctionName: "echo", Name: "live", FunctionVersion: Version });
    const reply = await nats.request("mayfly.invoke.echo.live", '{"n":1}', { timeout: 30_000 });
    expect(reply.json()).toEqual({ n: 1 });
    expect(header(reply, "X-Amz-Executed-Version")).toBe(Version);
  });
});

describe("a function that fails", () => {
  const failure = async (fn: string) => {
    const reply = await invoke(fn);
    expect(header(reply, "X-Amz-Function-Error"), fn).toBe("Unhandled");
    return reply.json<{ errorType: string; errorMessage: string; trace?: string[] }>();
  };

  test("answers the error it threw", async () => {
    expect(await failure("fails")).toMatchObject({ errorType: "TypeError", errorMessage: "no such thing" });
  });

  test("is cut off at its timeout", async () => {
    expect(await failure("sleeps")).toMatchObject({
      errorType: "Sandbox.Timedout",
      errorMessage: expect.stringMatching(/^RequestId: [0-9a-f-]{36} Error: Task timed out after 1.00 seconds$/),
    });
  });

  test("that waits for what can never happen is not left waiting", async () => {
    expect(await failure("waits-for-nothing")).toMatchObject({ errorType: "Runtime.NodeJsExit" });
  });

  test("tells how its process ended", async () => {
    expect(await failure("exits")).toMatchObject({
      errorType: "Runtime.ExitError",
      errorMessage: expect.stringContaining("Runtime exited with error: exit status 7"),
    });
    expect(await failure("exits-well")).toMatchObject({
      errorMessage: expect.stringContaining("Runtime exited without providing a reason"),
    });
  });

  test("can't answer more than 6 MB", async () => {
    expect(await failure("large")).toMatchObject({
      errorType: "Function.ResponseSizeTooLarge",
      errorMessage: "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
    });
  });

  test("tells what is wrong with its code when it can't be loaded", async () => {
    expect(await failure("broken")).toMatchObject({ errorType: "Runtime.UserCodeSyntaxError" });
  });
});

describe("a call that can't be", () => {
  const refusal = async (reply: Promise<Msg>) => {
    const message = await reply;
    return [header(message, "Nats-Service-Error-Code"), header(message, "Nats-Service-Error"), message.json()] as const;
  };

  test("of an unknown function or qualifier is a 404", async () => {
    const [code, error, body] = await refusal(invoke("nobody"));
    expect(code).toBe("404");
    expect(error).toMatch(
      /^ResourceNotFoundException: Function not found: arn:aws:lambda:us-east-1:000000000000:function:nobody$/,
    );
    expect(body).toEqual({ Type: "User", Message: expect.stringContaining("Function not found") });
    expect((await refusal(nats.request("mayfly.invoke.hello.42", "{}", { timeout: 5000 })))[0]).toBe("404");
  });

  test("with a payload that is no JSON is a 400", async () => {
    const [code, error, body] = await refusal(invoke("hello", "{oops"));
    expect([code, error?.split(":")[0]]).toEqual(["400", "InvalidRequestContentException"]);
    expect(body).toMatchObject({
      message: expect.stringMatching(/^Could not parse request body into json: Could not parse payload into json: /),
    });
  });

  test("with more than 6,291,556 bytes is a 413", async () => {
    const [code, error] = await refusal(invoke("hello", `"${"x".repeat(6_291_555)}"`));
    expect([code, error?.split(":")[0]]).toEqual(["413", "RequestTooLargeException"]);
  });

  test("of a function without concurrency is a 429 with its reason", async () => {
    await api(nats, "PutFunctionConcurrency", { FunctionName: "nothing", ReservedConcurrentExecutions: 0 });
    const throttled = async () => (await refusal(invoke("nothing")))[0] === "429";
    await expect.poll(throttled, { timeout: 5000 }).toBe(true);
    const [, , body] = await refusal(invoke("nothing"));
    expect(body).toEqual({
      Reason: "ReservedFunctionConcurrentInvocationLimitExceeded",
      Type: "User",
      message: "Rate Exceeded.",
    });
    await api(nats, "DeleteFunctionConcurrency", { FunctionName: "nothing" });
    await expect.poll(throttled, { timeout: 5000 }).toBe(false);
  });

  test("of an unknown kind is refused by name", async () => {
    expect((await refusal(invoke("hello", "{}", { "X-Amz-Invocation-Type": "Sometimes" })))[1]).toMatch(
      /^ValidationException/,
    );
  });
});
