import { readFile, writeFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { Api, accepted, refusal } from "./api.ts";
import { arn, bodyOf, boot, host } from "./booted.ts";

/** Whether a process still runs; one that waits for its parent to notice its end doesn't. */
async function isRunning(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => null);
  return stat !== null && !/\) [ZX] /.test(stat);
}

/** Gives an API with an invocation `request-1` under way, and the answer that the worker waits for. */
async function running(payload: unknown = {}) {
  const { booted, ready, api } = await Api.start();
  const event = api.next();
  await ready;
  const said = booted.invoke(payload);
  await event;
  return { booted, api, said };
}

describe("the event", () => {
  test("comes with its headers, and only those that have a value", async () => {
    const { booted, ready, api } = await Api.start();
    await using _ = api;
    const next = api.next();
    expect(await ready).toEqual({ type: "ready" });
    void booted.invoke(
      { a: 1 },
      { deadlineMs: 1_700_000_000_000.5, clientContext: '{"custom":\n{"c":"ü"}}', tenantId: "blue" },
    );
    const { status, headers, body } = await next;
    expect([status, body]).toEqual([200, '{"a":1}']);
    expect(headers).toMatchObject({
      "content-type": "application/json",
      "lambda-runtime-aws-request-id": "request-1",
      "lambda-runtime-deadline-ms": "1700000000000",
      "lambda-runtime-invoked-function-arn": arn,
      "lambda-runtime-aws-tenant-id": "blue",
    });
    const context = Buffer.from(String(headers["lambda-runtime-client-context"]), "latin1").toString();
    expect(JSON.parse(context)).toEqual({ custom: { c: "ü" } });
    expect(headers).not.toHaveProperty("lambda-runtime-trace-id");
    expect(headers).not.toHaveProperty("lambda-runtime-cognito-identity");
  });

  test("waits until the runtime asks for it", async () => {
    const { booted, api, said } = await running();
    await using _ = api;
    await api.answer("request-1", "response", { body: "1" });
    await said;
    const second = booted.invoke({ n: 2 });
    expect((await api.next()).body).toBe('{"n":2}');
    await api.answer("request-2", "response", { body: "2" });
    expect(bodyOf(await second)).toBe(2);
  });
});

describe("the answer", () => {
  test("is the response's own bytes and content type", async () => {
    const { api, said } = await running();
    await using _ = api;
    const call = { body: Buffer.from([0, 255]), headers: { "content-type": "image/png" } };
    expect(await api.answer("request-1", "response", call)).toMatchObject(accepted);
    expect(await said).toEqual({
      type: "response",
      requestId: "request-1",
      contentType: "image/png",
      payload: call.body,
    });
  });

  test("is the error's own body, with a type only if it is a known form", async () => {
    for (const [given, kept] of [
      ["Function.TooBad", "Function.TooBad"],
      ["Runtime.Odd", "Runtime.Odd"],
      ["Function.too bad", "Function.Unknown"],
      ["whatever", "Runtime.Unknown"],
    ] as const) {
      const { api, said } = await running();
      await using _ = api;
      const call = { body: '{"x":1}', headers: { "lambda-runtime-function-error-type": given } };
      expect(await api.answer("request-1", "error", call)).toMatchObject(accepted);
      expect(await said).toMatchObject({ type: "error", requestId: "request-1", errorType: kept });
      expect(bodyOf(await said)).toEqual({ x: 1 });
    }
  });

  test("is given without the cause for tracing that comes with it", async () => {
    const cause = { "content-type": "application/vnd.aws.lambda.error.cause+json" };
    const whole = { errorMessage: "m", errorType: "E", stackTrace: ["at x"], errorCause: { message: "m" } };
    for (const [body, given] of [
      [JSON.stringify(whole), { errorMessage: "m", errorType: "E", stackTrace: ["at x"] }],
      ["no JSON", "Invalid error body"],
    ] as const) {
      const { api, said } = await running();
      await using _ = api;
      expect(await api.answer("request-1", "error", { body, headers: cause })).toMatchObject(accepted);
      expect(bodyOf(await said)).toEqual(given);
    }
  });

  test("that is cut short is refused, and the invocation fails", async () => {
    const { api, said } = await running();
    await using _ = api;
    const [head = "", body = ""] = (await api.cutShort("request-1")).split("\r\n\r\n");
    expect(head).toMatch(/^HTTP\/1\.1 400 .*\r\nContent-Type: application\/json\r\n/);
    expect(JSON.parse(body)).toEqual({
      errorMessage: "HTTP request detected as truncated",
      errorType: "TruncatedHTTPRequest",
    });
    expect(await said).toMatchObject({ type: "error", errorType: "Runtime.TruncatedResponse" });
  });

  test("may be streamed, and fail at its end by a trailer", async () => {
    const streaming = { "lambda-runtime-function-response-mode": "streaming", "transfer-encoding": "chunked" };
    const good = await running();
    await using _good = good.api;
    expect(
      await good.api.answer("request-1", "response", { body: "text", headers: streaming, trailers: {} }),
    ).toMatchObject(accepted);
    expect(await good.said).toMatchObject({ type: "response", payload: Buffer.from("text") });
    const bad = await running();
    await using _bad = bad.api;
    const trailers = {
      "Lambda-Runtime-Function-Error-Type": "Function.Broke",
      "Lambda-Runtime-Function-Error-Body": Buffer.from('{"errorMessage":"broke"}').toString("base64"),
    };
    const headers = { ...streaming, trailer: Object.keys(trailers).join(", ") };
    await bad.api.answer("request-1", "response", { body: "half", headers, trailers });
    expect(await bad.said).toMatchObject({ type: "error", errorType: "Function.Broke" });
    expect(bodyOf(await bad.said)).toEqual({ errorMessage: "broke" });
    const odd = await running();
    await using _odd = odd.api;
    const named = { ...trailers, "Lambda-Runtime-Function-Error-Type": "broke" };
    await odd.api.answer("request-1", "response", { body: "half", headers, trailers: named });
    expect(await odd.said).toMatchObject({ type: "error", errorType: "Runtime.Unknown" });
  });

  test("is refused with 413 when it is too large, and the caller learns why", async () => {
    const { api, said } = await running();
    await using _ = api;
    const refused = await api.answer("request-1", "response", { body: Buffer.alloc(6_291_557, "1") });
    expect(refusal(refused)).toEqual({ status: 413, errorType: "RequestEntityTooLarge" });
    expect(JSON.parse(refused.body).errorMessage).toBe("Exceeded maximum allowed payload size (6291556 bytes).");
    expect(await said).toMatchObject({ type: "error", errorType: "Function.ResponseSizeTooLarge" });
  });

  test("may be as large as the limit", async () => {
    const { api, said } = await running();
    await using _ = api;
    expect(await api.answer("request-1", "response", { body: Buffer.alloc(6_291_556, "1") })).toMatchObject(accepted);
    expect(await said).toMatchObject({ type: "response" });
  });

  test("in an unknown mode is refused, and the invocation fails", async () => {
    const { api, said } = await running();
    await using _ = api;
    const refused = await api.answer("request-1", "response", {
      headers: { "lambda-runtime-function-response-mode": "odd" },
    });
    expect(refusal(refused)).toEqual({ status: 400, errorType: "InvalidFunctionResponseMode" });
    expect(await said).toMatchObject({ type: "error", errorType: "Runtime.InvalidResponseModeHeader" });
  });
});

describe("the order of calls", () => {
  test("another request's id is refused with 400", async () => {
    const { api } = await running();
    await using _ = api;
    for (const kind of ["response", "error"] as const) {
      expect(refusal(await api.answer("request-9", kind))).toEqual({ status: 400, errorType: "InvalidRequestID" });
    }
  });

  test("an id that can't be decoded is refused with 400", async () => {
    const { api } = await running();
    await using _ = api;
    expect(refusal(await api.answer("%zz", "response"))).toEqual({ status: 400, errorType: "InvalidRequestID" });
  });

  test("a second answer, a second wait and next while running are refused with 403", async () => {
    const { api, said } = await running();
    await using _ = api;
    const notAllowed = { status: 403, errorType: "InvalidStateTransition" };
    expect(refusal(await api.next())).toEqual(notAllowed);
    await api.answer("request-1", "response", { body: "1" });
    await said;
    expect(refusal(await api.answer("request-1", "response", { body: "1" }))).toEqual(notAllowed);
    expect(refusal(await api.answer("request-1", "error", { body: "1" }))).toEqual(notAllowed);
    const waits = [api.next(), api.next()];
    const refused = await Promise.race(waits);
    expect(refusal(refused)).toEqual(notAllowed);
    for (const wait of waits) wait.catch(() => {});
  });

  test("an init error is told to the worker once, and only before the first next", async () => {
    const { ready, api } = await Api.start();
    await using _ = api;
    const call = { body: '{"errorType":"X"}', headers: { "lambda-runtime-function-error-type": "Runtime.NoConfig" } };
    expect(await api.post("/2018-06-01/runtime/init/error", call)).toMatchObject(accepted);
    expect(await ready).toMatchObject({ type: "initError", errorType: "Runtime.NoConfig" });
    const again = await api.post("/2018-06-01/runtime/init/error", call);
    expect(refusal(again)).toEqual({ status: 403, errorType: "InvalidStateTransition" });
    expect(JSON.parse(again.body).errorMessage).toBe(
      "State transition from InitError to InitError failed for runtime. Error: State transition is not allowed",
    );
    expect(refusal(await api.next()).status).toBe(403);
  });

  test("what isn't served is said so", async () => {
    const { api } = await running();
    await using _ = api;
    expect(await api.get("/2018-06-01/ping")).toMatchObject({ status: 200, body: "pong" });
    expect((await api.get("/2018-06-01/runtime/restore/next")).status).toBe(404);
  });
});

describe("the bootstrap", () => {
  test.each([
    ["missing", null, 0],
    ["not executable", "#!/bin/sh\n", 0o644],
    ["no program", "#!/no/such/interpreter\n", 0o755],
  ])("that is %s is an invalid entrypoint", async (_what, text, mode) => {
    await using booted = await boot(host, {});
    if (text !== null) await writeFile(`${booted.taskRoot}/bootstrap`, text, { mode });
    expect(await booted.init()).toMatchObject({ type: "initError", errorType: "Runtime.InvalidEntrypoint" });
    expect(await booted.next()).toMatchObject({ type: "ended", code: 1 });
  });

  test("that ends before it asks for work is told by its exit code", async () => {
    await using booted = await boot(host, { bootstrap: "#!/bin/sh\nexit 5\n" });
    expect(await booted.init()).toEqual({ type: "exit", code: 5, signal: null });
  });

  test("that is killed is told by its signal", async () => {
    await using booted = await boot(host, { bootstrap: "#!/bin/sh\nkill -9 $$\n" });
    expect(await booted.init()).toEqual({ type: "exit", code: null, signal: "SIGKILL" });
  });

  test("is gone when the worker is, with all it started", async () => {
    const booted = await boot(host, { bootstrap: "#!/bin/sh\nsleep 1000 & echo pid=$!\nwait\n" });
    void booted.init();
    const [, pid] = await booted.printedLike(/pid=(\d+)/);
    await booted[Symbol.asyncDispose]();
    await expect.poll(() => isRunning(Number(pid))).toBe(false);
  });
});
