/** Stateless requests over a real server: answered, refused by name, or left to somebody else; and honestly counted. */
import type { NatsConnection } from "nats";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { Component } from "../../actors/bus/component.ts";
import { natsNetwork } from "../../actors/bus/nats.ts";
import { systemClock } from "../../actors/bus/port.ts";
import { Responder } from "../../actors/bus/responder.ts";
import { raw } from "../../subjects/contract.ts";
import { Refused } from "../../subjects/errors.ts";
import { startTestServer, type TestServer } from "../support/nats.ts";

const Question = raw("test.{topic}");

let server: TestServer;
let connection: NatsConnection;
let component: Component;
let release: () => void = () => {};
let stopped: Promise<void> | undefined;

beforeAll(async () => {
  server = await startTestServer();
  connection = await server.connect();
});
afterAll(async () => server?.[Symbol.asyncDispose]());

beforeEach(async () => {
  stopped = undefined;
  component = new Component({
    name: "answers",
    id: "one",
    version: "0.0.1",
    description: "under test",
    network: natsNetwork(connection),
    clock: systemClock,
    log: pino({ level: "silent" }),
  });
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const topics: Record<string, () => Promise<object | undefined>> = {
    sums: async () => ({ sum: 3 }),
    secrets: async () => Promise.reject(new Refused("AccessDeniedException", "not yours")),
    bugs: async () => Promise.reject(new TypeError("a bug")),
    others: async () => undefined,
    slow: () => held.then(() => ({ late: true })),
  };
  new Responder(component, [
    {
      contract: Question,
      subject: Question.subject(),
      queue: "answers",
      endpoint: "ask",
      answer: ({ address }) => topics[address.topic ?? ""]?.(),
    },
  ]);
  await connection.flush();
});
afterEach(async () => {
  release();
  await (stopped ?? component.stop());
});

const ask = async (topic: string, timeout = 5000) => {
  const reply = await connection.request(Question.subject({ topic }), "", { timeout });
  return { body: reply.json(), code: reply.headers?.get("Nats-Service-Error-Code") };
};

it("answers with the body", async () => {
  expect(await ask("sums")).toEqual({ body: { sum: 3 }, code: undefined });
});

it("refuses by name, and calls what nobody foresaw a ServiceException", async () => {
  expect(await ask("secrets")).toEqual({ body: { Type: "User", Message: "not yours" }, code: "403" });
  expect(await ask("bugs")).toMatchObject({ code: "500", body: { Type: "Service" } });
});

it("leaves to others what is not its own", async () => {
  await expect(ask("others", 100)).rejects.toThrow();
});

it("counts answers and errors when they are given", async () => {
  await ask("sums");
  await ask("secrets");
  expect(component.statistics.endpoints).toMatchObject([
    {
      name: "ask",
      subject: "test.*",
      queue: "answers",
      requests: 2,
      errors: 1,
      lastError: expect.stringMatching(/yours/),
    },
  ]);
});

it("gives the answers it has begun before it stops", async () => {
  const late = ask("slow");
  await connection.flush();
  stopped = component.stop();
  release();
  await stopped;
  expect(await late).toMatchObject({ body: { late: true } });
});
