/** Responses that are wanted as they are produced: by our runtime, behind the host, by AWS's client, and over plain HTTP. */
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { Api, accepted } from "./api.ts";
import { nodeClient } from "./aws-clients.ts";
import { type Booted, bodyOf, boot, host, nodeBootstrap, type Said } from "./booted.ts";

const streams = { streams: true } as const;

/** `waits` goes on when the test has written a file. */
const files = {
  "index.mjs": `
    import { existsSync } from "node:fs";
    import { setTimeout as after } from "node:timers/promises";
    export const waits = awslambda.streamifyResponse(async (event, stream) => {
      stream.setContentType("text/plain");
      stream.write("first");
      while (!existsSync(event.sign)) await after(5);
      stream.end("last");
    });
    export const fails = awslambda.streamifyResponse(async (event, stream) => {
      stream.write("half");
      await after(20);
      throw new TypeError("broke");
    });
    export const large = awslambda.streamifyResponse(async (event, stream) => {
      for (let at = 0; at < 8; at++) {
        if (!stream.write(Buffer.alloc(1024 * 1024, 97 + at))) await new Promise((done) => stream.once("drain", done));
      }
      stream.end();
    });
  `,
};

/** What is said up to the answer, and its bytes. */
async function whole(booted: Booted, first: Said) {
  const said = [first];
  while (said.at(-1)?.type === "chunk") said.push(await booted.next());
  const body = Buffer.concat(
    said.map((each) => (each.type === "chunk" || each.type === "response" ? each.payload : Buffer.alloc(0))),
  );
  return { body, end: said.at(-1) as Said };
}

describe.each([
  { name: "nodejs", command: nodeBootstrap },
  { name: "nodejs behind the host", command: host, client: nodeBootstrap },
  { name: "custom, with AWS's client for Node.js", command: host, bootstrap: nodeClient },
])("the $name runtime", ({ command, client, bootstrap }) => {
  let made: Readonly<Record<string, string>> = files;
  let missing: string | null = null;
  beforeAll(async () => {
    const found = await bootstrap?.();
    if (found && "missing" in found) missing = found.missing;
    if (found && "command" in found) made = { ...files, bootstrap: `#!/bin/sh\n${found.command}\n` };
  }, 300_000);

  const it = (title: string, handler: string, check: (booted: Booted) => Promise<void>) =>
    test(title, async ({ skip }) => {
      if (missing) skip(missing);
      await using booted = await boot(command, made);
      await booted.init({ handler: `index.${handler}`, ...(client ? { client } : {}) });
      await check(booted);
    });

  it("sends what is written while the function still runs", "waits", async (booted) => {
    const sign = join(booted.taskRoot, "sign");
    const first = await booted.invoke({ sign }, streams);
    expect(first).toMatchObject({ type: "chunk", requestId: "request-1", contentType: "text/plain" });
    expect("payload" in first && first.payload.toString()).toBe("first");
    await writeFile(sign, "");
    const { body, end } = await whole(booted, first);
    expect([body.toString(), end.type]).toEqual(["firstlast", "response"]);
    const gathered = await booted.invoke({ sign });
    expect(gathered).toMatchObject({ type: "response", payload: Buffer.from("firstlast") });
  });

  it("tells an error in the middle after what was written", "fails", async (booted) => {
    const { body, end } = await whole(booted, await booted.invoke({}, streams));
    expect([body.toString(), end.type]).toEqual(["half", "error"]);
    expect(bodyOf(end)).toMatchObject({ errorType: "TypeError", errorMessage: "broke" });
    expect(await booted.invoke({})).toMatchObject({ type: "error" });
  });

  it("sends more than a gathered response may hold", "large", async (booted) => {
    const { body, end } = await whole(booted, await booted.invoke({}, streams));
    expect([body.length, end.type]).toEqual([8 * 1024 * 1024, "response"]);
    for (let at = 0; at < 8; at++) expect(body[at * 1024 * 1024]).toBe(97 + at);
    const gathered = await booted.invoke({});
    expect(gathered).toMatchObject({ type: "error", errorType: "Function.ResponseSizeTooLarge" });
  });
});

test("a log never falls into a piece of a stream", async () => {
  await using booted = await boot(nodeBootstrap, {
    "index.mjs": `export const handler = awslambda.streamifyResponse(async (event, stream) => {
      for (let at = 0; at < 200; at++) { stream.write(Buffer.alloc(60_000, "x")); console.log("line", at); }
      stream.end();
    });`,
  });
  await booted.init();
  const { body, end } = await whole(booted, await booted.invoke({}, streams));
  expect([body.length, end.type]).toEqual([12_000_000, "response"]);
  expect(booted.logs).toHaveLength(200);
});

describe("over HTTP", () => {
  async function running() {
    const { booted, ready, api } = await Api.start();
    const event = api.next();
    await ready;
    const said = booted.invoke({}, streams);
    await event;
    return { booted, api, said };
  }

  test("each piece of a body is handed on as it comes", async () => {
    const { booted, api, said } = await running();
    await using _ = api;
    const sent = api.streamed("request-1", { "content-type": "text/plain" });
    sent.write("one");
    expect(await said).toMatchObject({ type: "chunk", contentType: "text/plain", payload: Buffer.from("one") });
    sent.end("two");
    const [response] = await once(sent, "response");
    expect(response.statusCode).toBe(accepted.status);
    const { body, end } = await whole(booted, await booted.next());
    expect([body.toString(), end.type]).toEqual(["two", "response"]);
  });

  test("a trailer tells the error that ended it, and a body cut short is one", async () => {
    const failed = await running();
    await using _failed = failed.api;
    const types = { trailer: "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body" };
    const sent = failed.api.streamed("request-1", types);
    sent.write("half");
    expect(await failed.said).toMatchObject({ type: "chunk" });
    const body = Buffer.from('{"errorMessage":"broke"}').toString("base64");
    sent.addTrailers({
      "Lambda-Runtime-Function-Error-Type": "Function.Broke",
      "Lambda-Runtime-Function-Error-Body": body,
    });
    sent.end();
    const end = await failed.booted.next();
    expect(end).toMatchObject({ type: "error", errorType: "Function.Broke" });
    expect(bodyOf(end)).toEqual({ errorMessage: "broke" });

    const cut = await running();
    await using _cut = cut.api;
    const begun = cut.api.streamed("request-1");
    begun.on("error", () => {});
    begun.write("half");
    await cut.said;
    begun.destroy();
    expect(await cut.booted.next()).toMatchObject({ type: "error", errorType: "Runtime.TruncatedResponse" });
  });

  test("a body that isn't streamed is one response", async () => {
    const { api, said } = await running();
    await using _ = api;
    expect(await api.answer("request-1", "response", { body: "1" })).toMatchObject(accepted);
    expect(await said).toMatchObject({ type: "response", payload: Buffer.from("1") });
  });
});
