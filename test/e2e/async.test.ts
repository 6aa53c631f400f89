/** Asynchronous invokes as their users meet them: accepted once stored, run, tried again, and never lost. */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { headers, type NatsConnection } from "nats";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { RunEvent } from "../../subjects/async.ts";
import type { EventInvokeConfig, QueueConfig } from "../../subjects/event-invoke.ts";
import { type FunctionRecord, functionKey } from "../../subjects/function.ts";
import { EVENT_CALL } from "../../subjects/headers.ts";
import { Log } from "../../subjects/logs.ts";
import type { Transition } from "../../subjects/state.ts";
import { DEAD_STREAM, FUNCTIONS_BUCKET } from "../../subjects/streams.ts";
import { DEFAULT_ACCOUNT } from "../../subjects/tokens.ts";
import { api, deploy } from "../support/functions.ts";
import { killAll } from "../support/processes.ts";
import { type RunningSystem, startMayfly } from "../support/system.ts";

const RETRY_MS = 600;

/** Says on its own log what it was called with; the tests read the LOGS stream. */
const FILES = {
  "index.mjs": `
    const said = (event, context, what) => console.log(JSON.stringify({ run: event.run, id: context.awsRequestId, what }));
    export const works = async (event, context) => { said(event, context, "ok"); return { got: event.run }; };
    export const fails = async (event, context) => { said(event, context, "failed"); throw new TypeError("no " + event.run); };
    export const waits = async (event, context) => {
      said(event, context, "began");
      await new Promise((resolve) => setTimeout(resolve, event.ms ?? 0));
      return "waited";
    };
  `,
};

let folder: string;
let system: RunningSystem;
let nats: NatsConnection;
let platform: NatsConnection;

const ENV = { MAYFLY_ASYNC_RETRY_DELAYS: String(RETRY_MS), MAYFLY_ASYNC_BACKOFF_MIN: "300" };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-test-"));
  system = await startMayfly({ env: ENV, folder });
  await connect();
  await Promise.all([
    deploy(platform, { name: "hello", files: FILES, handler: "index.works" }),
    deploy(platform, { name: "fails", files: FILES, handler: "index.fails" }),
    deploy(platform, { name: "waits", files: FILES, handler: "index.waits", timeout: 20 }),
  ]);
});
afterAll(async () => {
  await system?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

async function connect(): Promise<void> {
  nats = await system.connect();
  platform = await system.connect("platform");
}

interface Line {
  readonly run: string;
  readonly id: string;
  readonly what: string;
}

/** What functions said of one run so far, from the LOGS stream. */
async function linesOf(run: string): Promise<Line[]> {
  const consumer = await jetstream(platform).consumers.get("LOGS");
  const lines: Line[] = [];
  const { num_pending } = await consumer.info();
  if (num_pending === 0) return lines;
  for await (const message of await consumer.fetch({ max_messages: num_pending, expires: 2000 })) {
    const json = /\{.*\}/.exec(message.string())?.[0];
    if (json?.includes(run) && json.includes('"what"')) lines.push(JSON.parse(json) as Line);
  }
  return lines;
}

const ran = (run: string, times = 1, timeout = 10_000) =>
  expect.poll(() => linesOf(run).then(({ length }) => length), { timeout, interval: 100 }).toBe(times);

async function change(fn: string, how: (record: FunctionRecord) => Partial<FunctionRecord>): Promise<void> {
  const functions = await new Kvm(platform).open(FUNCTIONS_BUCKET);
  const entry = await functions.get(functionKey(DEFAULT_ACCOUNT, fn));
  const record = entry!.json<FunctionRecord>();
  await functions.update(entry!.key, JSON.stringify({ ...record, ...how(record) }), entry!.revision);
}

const eventInvoke = (fn: string, config: Partial<EventInvokeConfig>) =>
  change(fn, () => ({
    eventInvoke: {
      $LATEST: { DestinationConfig: { OnSuccess: {}, OnFailure: {} }, LastModified: 0, ...config },
    },
  }));
const queue = (fn: string, config: QueueConfig) => change(fn, () => ({ queue: config }));

interface DeadLetter {
  readonly payload: string;
  header(name: string): string | undefined;
}

/** The dead letter of one run, when there is one. */
async function deadLetter(fn: string, run: string): Promise<DeadLetter | undefined> {
  const consumer = await jetstream(platform).consumers.get(DEAD_STREAM, { filter_subjects: `mayfly.*.dead.${fn}` });
  const { num_pending } = await consumer.info();
  if (num_pending === 0) return undefined;
  let found: DeadLetter | undefined;
  for await (const message of await consumer.fetch({ max_messages: num_pending, expires: 2000 })) {
    if (!message.string().includes(run)) continue;
    found = { payload: message.string(), header: (name) => message.headers?.get(name) };
  }
  return found;
}

async function died(fn: string, run: string): Promise<DeadLetter> {
  await expect
    .poll(async () => (await deadLetter(fn, run)) !== undefined, { timeout: 10_000, interval: 100 })
    .toBe(true);
  return (await deadLetter(fn, run))!;
}

const event = (run: string, more: object = {}) => JSON.stringify({ run, ...more });

describe("an event", () => {
  test("published with a plain `nats pub` runs", async () => {
    const run = randomUUID();
    nats.publish("mayfly.async.hello", event(run));
    await ran(run);
  });

  test("sent as a request is acknowledged by its stream, and runs", async () => {
    const run = randomUUID();
    const ack = await nats.request("mayfly.async.hello", event(run), { timeout: 5000 });
    expect(ack.json()).toMatchObject({ stream: expect.stringMatching(/^ASYNC_\d$/), seq: expect.any(Number) });
    await ran(run);
  });

  test("of an invoke with type Event is answered with the request id it will run under, once it is stored", async () => {
    const run = randomUUID();
    const sent = headers();
    sent.set("X-Amz-Invocation-Type", "Event");
    const reply = await nats.request("mayfly.invoke.hello", event(run), { headers: sent, timeout: 5000 });
    expect(reply.string()).toBe("");
    await ran(run);
    expect(await linesOf(run)).toMatchObject([{ id: reply.headers?.get("X-Amzn-RequestId") }]);
  });

  test("that is sent twice with one message id is stored once, and told the same request id", async () => {
    const run = randomUUID();
    const sent = headers();
    sent.set("X-Amz-Invocation-Type", "Event");
    sent.set("Nats-Msg-Id", run);
    const send = async () =>
      (await nats.request("mayfly.invoke.hello", event(run), { headers: sent, timeout: 5000 })).headers?.get(
        "X-Amzn-RequestId",
      );
    const [first, second] = [await send(), await send()];
    expect(first).toBe(second);
    const after = randomUUID();
    nats.publish("mayfly.async.hello", event(after));
    await ran(after);
    await ran(run);
  });

  test("for a function that doesn't exist is refused by name where somebody waits for the answer", async () => {
    const sent = headers();
    sent.set("X-Amz-Invocation-Type", "Event");
    const reply = await nats.request("mayfly.invoke.nobody", "{}", { headers: sent, timeout: 5000 });
    expect(reply.headers?.get("Nats-Service-Error")).toMatch(/^ResourceNotFoundException/);
  });

  test("for a function that doesn't exist is dead-lettered where nobody waits", async () => {
    const run = randomUUID();
    nats.publish("mayfly.async.nobody", event(run));
    expect((await died("nobody", run)).header("Mayfly-Dead-Reason")).toBe("FunctionNotFound");
  });

  test("of a whole mebibyte runs", async () => {
    const run = randomUUID();
    const frame = `{"run":"${run}","x":""}`;
    const whole = frame.replace('""', `"${"x".repeat(1_048_576 - frame.length)}"`);
    expect(Buffer.byteLength(whole)).toBe(1_048_576);
    await nats.request("mayfly.async.hello", whole, { timeout: 5000 });
    await ran(run);
  });

  test("above a mebibyte is refused", async () => {
    const sent = headers();
    sent.set("X-Amz-Invocation-Type", "Event");
    const tooLarge = `"${"x".repeat(1_048_576)}"`;
    const reply = await nats.request("mayfly.invoke.hello", tooLarge, { headers: sent, timeout: 5000 });
    expect(reply.headers?.get("Nats-Service-Error")).toMatch(/^RequestTooLargeException/);
  });

  test("above a mebibyte is dead-lettered, where it was published without asking", async () => {
    const run = randomUUID();
    nats.publish("mayfly.async.hello", `{"run":"${run}","x":"${"x".repeat(1_048_576)}"}`);
    expect((await died("hello", run)).header("Mayfly-Dead-Reason")).toBe("InvalidRequest");
  });

  test("that is no JSON is dead-lettered, not tried again", async () => {
    const run = randomUUID();
    nats.publish("mayfly.async.hello", `no json ${run}`);
    expect((await died("hello", run)).header("Mayfly-Dead-Reason")).toBe("InvalidRequest");
  });
});

test("a run under an id that is under way already is refused by name, not left unanswered", async () => {
  const run = randomUUID();
  const sent = headers();
  sent.set(EVENT_CALL, JSON.stringify({ requestId: run, attempt: 1 }));
  const ask = () =>
    platform.request(RunEvent.subject({ acct: DEFAULT_ACCOUNT, fn: "waits" }), event(run, { ms: 500 }), {
      headers: sent,
      timeout: 10_000,
    });
  const [first, second] = await Promise.all([ask(), ask()]);
  expect([first, second].map((reply) => reply.headers?.get("Nats-Service-Error-Code"))).toContain("409");
  expect([first, second].map((reply) => reply.string())).toContain('"waited"');
  await ran(run);
});

test("an event in hand and its backlog answer who inspects them", async () => {
  const sent = headers();
  const id = randomUUID();
  sent.set("X-Amzn-RequestId", id);
  nats.publish("mayfly.async.waits", event(id, { ms: 1500 }), { headers: sent });
  await ran(id);
  const inspect = async (subject: string) =>
    (await nats.request(subject, "", { timeout: 2000 })).json<{ state: string; context: object }>();
  expect(await inspect(`mayfly.inspect.event.${id}`)).toMatchObject({
    state: "running",
    context: { fn: "waits", attempt: 1 },
  });
  expect(await inspect(`mayfly.inspect.backlog.${DEFAULT_ACCOUNT}-waits`)).toMatchObject({
    state: "active",
    context: { running: [id] },
  });
});

describe("an event whose function fails", () => {
  test("is tried three times under one request id, then dead-lettered with what went wrong", async () => {
    const run = randomUUID();
    nats.publish("mayfly.async.fails", event(run));
    const letter = await died("fails", run);
    expect(letter.payload).toBe(event(run));
    expect(letter.header("Mayfly-Dead-Reason")).toBe("RetriesExhausted");
    expect(letter.header("Mayfly-Attempt")).toBe("3");
    expect(letter.header("Mayfly-Error-Type")).toBe("TypeError");
    expect(letter.header("Mayfly-Error-Message")).toBe(`no ${run}`);
    await ran(run, 3);
    expect(new Set((await linesOf(run)).map(({ id }) => id))).toEqual(new Set([letter.header("X-Amzn-RequestId")]));
  });
});

/** Lives of events, as `nats sub 'mayfly.state.event.*'` shows them, until `stop`. */
/** Resolves when a function says something of a run, as it says it: what is kept of it is slower to read. */
function heard(fn: string, run: string): Promise<void> {
  return new Promise((resolve) => {
    const subscription = nats.subscribe(Log.subject({ acct: DEFAULT_ACCOUNT, fn }), {
      callback: (_, message) => {
        if (!message.string().includes(run)) return;
        subscription.unsubscribe();
        resolve();
      },
    });
  });
}

/** Asks until it is let in: a limit that was just set first calls back what was held under the old one. */
async function admitted(subject: string, payload: string): Promise<void> {
  for (;;) {
    const reply = await nats.request(subject, payload, { timeout: 10_000 });
    if (reply.headers?.get("Nats-Service-Error-Code") !== "429") return;
  }
}

function livesOf(fn: string): { seen: Transition[]; stop(): void } {
  const seen: Transition[] = [];
  const subscription = nats.subscribe("mayfly.state.event.*", {
    callback: (_, message) => {
      const life = message.json<Transition>();
      if (life.about?.fn === fn) seen.push(life);
    },
  });
  return { seen, stop: () => subscription.unsubscribe() };
}

describe("a function without a free slot", () => {
  test("gets its event later, and the wait uses up no attempt", async () => {
    const [busy, run] = [randomUUID(), randomUUID()];
    await api(nats, "PutFunctionConcurrency", { FunctionName: "waits", ReservedConcurrentExecutions: 1 });
    await expect
      .poll(
        async () => (await api(nats, "GetFunctionConcurrency", { FunctionName: "waits" })).ReservedConcurrentExecutions,
      )
      .toBe(1);
    const lives = livesOf("waits");
    const runs = heard("waits", busy);
    const first = admitted("mayfly.invoke.waits", event(busy, { ms: 3000 }));
    await runs;
    const sent = headers();
    sent.set("X-Amzn-RequestId", run);
    nats.publish("mayfly.async.waits", event(run), { headers: sent });
    await ran(run);
    await first;
    lives.stop();
    const its = lives.seen.filter(({ id }) => id === run);
    expect(its[0]).toMatchObject({ to: "retrying", about: { attempt: 1, refused: "TooManyRequestsException" } });
    expect(its.every(({ about }) => about?.attempt === 1)).toBe(true);
    await api(nats, "DeleteFunctionConcurrency", { FunctionName: "waits" });
  });

  test("because it was given none has its event dead-lettered at once", async () => {
    await api(nats, "PutFunctionConcurrency", { FunctionName: "waits", ReservedConcurrentExecutions: 0 });
    const run = randomUUID();
    nats.publish("mayfly.async.waits", event(run));
    const letter = await died("waits", run);
    expect(letter.header("Mayfly-Dead-Reason")).toBe("ZeroReservedConcurrency");
    expect(await linesOf(run)).toEqual([]);
    await api(nats, "DeleteFunctionConcurrency", { FunctionName: "waits" });
  });
});

describe("destinations", () => {
  const to = (OnSuccess?: string, OnFailure?: string) => ({
    DestinationConfig: {
      OnSuccess: OnSuccess === undefined ? {} : { Destination: OnSuccess },
      OnFailure: OnFailure === undefined ? {} : { Destination: OnFailure },
    },
  });

  test("on a subject hear Lambda's record of a success", async () => {
    const heard = Promise.withResolvers<Record<string, unknown>>();
    nats.subscribe("orders.done", { max: 1, callback: (_, message) => heard.resolve(message.json()) });
    await eventInvoke("hello", to("arn:aws:nats:::subject/orders.done"));
    const run = randomUUID();
    nats.publish("mayfly.async.hello", event(run));
    expect(await heard.promise).toMatchObject({
      version: "1.0",
      requestContext: {
        requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
        functionArn: `arn:aws:lambda:us-east-1:${DEFAULT_ACCOUNT}:function:hello:$LATEST`,
        condition: "Success",
        approximateInvokeCount: 1,
      },
      requestPayload: { run },
      responseContext: { statusCode: 200, executedVersion: "$LATEST" },
      responsePayload: { got: run },
    });
  });

  test("in a stream keep the record of a failure, and the function's dead letters the event itself", async () => {
    const streams = (await jetstreamManager(nats)).streams;
    await streams.add({ name: "ENDS", subjects: ["ends.*"] });
    await eventInvoke("fails", {
      ...to(undefined, "arn:aws:nats:::stream/ENDS/ends.failed"),
      MaximumRetryAttempts: 0,
    });
    await change("fails", ({ configuration }) => ({
      configuration: { ...configuration, DeadLetterConfig: { TargetArn: "arn:aws:nats:::stream/ENDS/ends.letters" } },
    }));
    const run = randomUUID();
    nats.publish("mayfly.async.fails", event(run));
    await died("fails", run);
    const last = async (subject: string) => streams.getMessage("ENDS", { last_by_subj: subject });
    await expect.poll(async () => (await last("ends.letters"))?.string(), { timeout: 5000 }).toBe(event(run));
    expect((await last("ends.failed"))?.json()).toMatchObject({
      requestContext: { condition: "RetriesExhausted", approximateInvokeCount: 1 },
      requestPayload: { run },
      responseContext: { statusCode: 200, executedVersion: "$LATEST", functionError: "Unhandled" },
      responsePayload: { errorType: "TypeError", errorMessage: `no ${run}` },
    });
    const letter = await last("ends.letters");
    expect(letter?.header.get("ErrorMessage")).toBe(`no ${run}`);
    expect(letter?.header.get("ErrorCode")).toBe("200");
  });

  test("that are functions are invoked with the record", async () => {
    await eventInvoke("hello", to(`arn:aws:lambda:us-east-1:${DEFAULT_ACCOUNT}:function:waits`));
    const lives = livesOf("waits");
    nats.publish("mayfly.async.hello", event(randomUUID()));
    await expect.poll(() => lives.seen.map(({ to }) => to), { timeout: 5000 }).toEqual(["succeeded"]);
    lives.stop();
    await eventInvoke("hello", {});
  });
});

test("a paused function's events are kept until it is resumed", async () => {
  const paused = Promise.withResolvers<void>();
  const state = nats.subscribe("mayfly.state.backlog.*", {
    callback: (_, message) => {
      const { id, to } = message.json<Transition>();
      if (id === `${DEFAULT_ACCOUNT}-hello` && to === "paused") paused.resolve();
    },
  });
  await nats.flush();
  await queue("hello", { Paused: true });
  const [early, run] = [randomUUID(), randomUUID()];
  await nats.request("mayfly.async.hello", event(early), { timeout: 5000 });
  await paused.promise;
  state.unsubscribe();
  await nats.request("mayfly.async.hello", event(run), { timeout: 5000 });
  expect(await linesOf(run)).toEqual([]);
  await queue("hello", { Paused: false });
  await ran(run);
  await ran(early);
});

/** As the poller that runs now tells it. */
async function accounted(): Promise<Record<"accepted" | "succeeded" | "dead" | "waiting" | "running", number>> {
  const service = (await nats.request("$SRV.PING.mayfly-poller", "", { timeout: 2000 })).json<{ id: string }>();
  return (await nats.request(`mayfly.inspect.poller.${service.id}`, "", { timeout: 2000 })).json();
}

test("what was accepted is accounted for: succeeded, dead, waiting or running", async () => {
  const before = await accounted();
  const run = randomUUID();
  for (let each = 0; each < 50; each++) nats.publish("mayfly.async.hello", event(run));
  for (let each = 0; each < 3; each++) nats.publish("mayfly.async.nobody", event(run));
  await ran(run, 50);
  const after = {
    accepted: before.accepted + 53,
    succeeded: before.succeeded + 50,
    dead: before.dead + 3,
    waiting: 0,
    running: 0,
  };
  await expect.poll(accounted, { timeout: 5000 }).toMatchObject(after);
  // Told by `nats micro stats`, too, as of the last count of the streams.
  const stats = async () => {
    const { endpoints } = (await nats.request("$SRV.STATS.mayfly-poller", "", { timeout: 2000 })).json<{
      endpoints: Array<{ name: string; data?: unknown }>;
    }>();
    return endpoints.find(({ name }) => name === "events")?.data;
  };
  await expect.poll(stats, { timeout: 5000 }).toMatchObject(after);
});

test("events that wait for another attempt when everything is killed run after the restart", async () => {
  await eventInvoke("fails", {});
  const run = randomUUID();
  const lives = livesOf("fails");
  nats.publish("mayfly.async.fails", event(run));
  await expect.poll(() => lives.seen.map(({ to }) => to), { timeout: 5000 }).toEqual(["retrying"]);
  await expect.poll(accounted).toMatchObject({ waiting: 1, running: 0 });
  const { accepted, succeeded, dead } = await accounted();
  await killAll(system.home);
  await system.stop();
  system = await startMayfly({ env: ENV, folder });
  await connect();
  expect(await accounted()).toMatchObject({ accepted, succeeded });
  expect((await died("fails", run)).header("Mayfly-Attempt")).toBe("3");
  await ran(run, 3);
  await expect.poll(accounted).toMatchObject({ accepted, succeeded, dead: dead + 1, waiting: 0 });
}, 90_000);
