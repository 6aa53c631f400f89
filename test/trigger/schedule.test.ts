/** Schedules, kept by the server and by timers. */
import { jetstreamManager } from "@nats-io/jetstream";
import { Cron } from "croner";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { expressionOf } from "../../actors/trigger/expression.ts";
import { Queued } from "../../subjects/async.ts";
import { mappingKey } from "../../subjects/mapping.ts";
import { Schedule } from "../../subjects/schedule.ts";
import { ASYNC_STREAMS, SCHEDULES_STREAM } from "../../subjects/streams.ts";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { enabled, mapping, reaches, runTrigger } from "../support/trigger.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server[Symbol.asyncDispose]());

const local = (ms: number) => new Date(ms).toISOString().slice(0, 19);
const words = (text: string) => {
  const found = expressionOf(text);
  return found?.kind === "cron" ? [found.server, found.croner] : found;
};

/** The events of a function that were accepted. */
async function accepted(fn: string): Promise<object[]> {
  const connection = await server.connect();
  const { streams } = await jetstreamManager(connection);
  const found: object[] = [];
  for (const name of ASYNC_STREAMS) {
    const { state } = await streams.info(name, { subjects_filter: Queued.subject({ fn }) });
    for (const subject of Object.keys(state.subjects ?? {})) {
      const last = await streams.getMessage(name, { last_by_subj: subject });
      expect(state.subjects?.[subject]).toBe(1);
      if (last !== null) found.push(last.json());
    }
  }
  return found;
}

/** Resolves when a function's event was stored. */
async function stored(fn: string): Promise<void> {
  const connection = await server.connect();
  const heard = connection.subscribe(Queued.subject({ fn }), { max: 1 });
  await connection.flush();
  for await (const _ of heard);
}

describe("an expression", () => {
  test.each([
    ["cron(15 12 ? * MON-FRI *)", ["0 15 12 * * MON-FRI", "0 15 12 * * MON-FRI *"]],
    ["cron(0 9 ? * 2-6 *)", ["0 0 9 * * 1-5", "0 0 9 * * 1-5 *"]],
    ["cron(0/5 8-17 1,15 * ? *)", ["0 0/5 8-17 1,15 * *", "0 0/5 8-17 1,15 * * *"]],
    ["cron(0 9 ? * 6#3 *)", [undefined, "0 0 9 * * 5#3 *"]],
    ["cron(0 9 ? * 6L *)", [undefined, "0 0 9 * * 5#L *"]],
    ["cron(0 9 L * ? 2030)", [undefined, "0 0 9 L * * 2030"]],
  ])("%s is said in the words of who keeps time", (text, expected) => {
    expect(words(text)).toEqual(expected);
  });

  test("of days is counted in minutes", () =>
    expect(expressionOf("rate(2 days)")).toEqual({ kind: "rate", minutes: 2880 }));

  test.each([
    ["cron(0 9 ? * 6#3 *)", "2030-01-18T09:00:00.000Z"],
    ["cron(0 9 ? * 6L *)", "2030-01-25T09:00:00.000Z"],
    ["cron(0 9 L * ? 2031)", "2031-01-31T09:00:00.000Z"],
    ["cron(0 9 15W * ? 2030)", "2030-01-15T09:00:00.000Z"],
    ["cron(0 9 ? * 1 2030)", "2030-01-06T09:00:00.000Z"],
  ])("%s is what EventBridge means by it", (text, next) => {
    const found = expressionOf(text);
    const timer = new Cron(found?.kind === "cron" ? found.croner : "", { paused: true, timezone: "UTC" });
    expect(timer.nextRun(new Date("2030-01-01T00:00:00Z"))?.toISOString()).toBe(next);
  });
});

test.each([
  "cron(15 12 ? * MON-FRI *)",
  "cron(0 9 ? * 2-6 *)",
  "cron(0/5 8-17 1,15 JAN-MAR ? *)",
  "rate(5 minutes)",
  "rate(1 day)",
])("the server takes %s, keeps it once, and lets go of it with its mapping", async (expression) => {
  const connection = await server.connect();
  const { streams } = await jetstreamManager(connection);
  await using one = await runTrigger(server);
  await using _two = await runTrigger(server);
  const record = mapping({ kind: "schedule", expression, timeZone: "Europe/Paris" }, { fn: "scheduled" });
  await enabled(one.storage, record);
  const { acct, uuid } = record;
  const subject = Schedule.subject({ acct, uuid });
  const kept = async () =>
    (await streams.info(SCHEDULES_STREAM, { subjects_filter: subject })).state.subjects?.[subject];
  expect(await kept()).toBe(1);
  await one.storage.triggers.put(mappingKey(acct, uuid), { ...record, enabled: false, state: "Disabling" });
  await reaches(one.storage, record, (now) => now?.state === "Disabled");
  // The other trigger may be a step behind, and does the same once more.
  await vi.waitFor(async () => expect(await kept()).toBeUndefined());
  await one.storage.triggers.put(mappingKey(acct, uuid), { ...record, enabled: false, state: "Deleting" });
  await reaches(one.storage, record, (now) => now === undefined);
});

test.each([
  ["by the server", true],
  ["by timers", false],
])("an at() that is kept %s fires once with two triggers, in EventBridge's shape", async (_, hasCronSchedules) => {
  const fn = `once-${hasCronSchedules}`;
  await using one = await runTrigger(server, { hasCronSchedules });
  await using _two = await runTrigger(server, { hasCronSchedules });
  const heard = stored(fn);
  const at = Date.now() + 2500;
  const record = mapping({ kind: "schedule", expression: `at(${local(at)})`, timeZone: "UTC" }, { fn });
  await enabled(one.storage, record);
  await heard;
  const { acct, uuid } = record;
  await reaches(one.storage, record, (now) => now?.lastProcessingResult === "OK");
  expect(await accepted(fn)).toMatchObject([
    {
      version: "0",
      "detail-type": "Scheduled Event",
      source: "aws.events",
      account: acct,
      region: "us-east-1",
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
      resources: [`arn:aws:lambda:us-east-1:${acct}:event-source-mapping:${uuid}`],
      detail: {},
    },
  ]);
});

test.each([
  ["by the server", true],
  ["by timers", false],
])("an at() that is kept %s and whose time has passed says so, and runs nothing", async (_, hasCronSchedules) => {
  const fn = `late-${hasCronSchedules}`;
  await using one = await runTrigger(server, { hasCronSchedules });
  const record = mapping({ kind: "schedule", expression: "at(2020-01-31T12:00:00)", timeZone: "UTC" }, { fn });
  await enabled(one.storage, record);
  await reaches(one.storage, record, (now) => now?.lastProcessingResult === "PROBLEM: its time has passed");
  expect(await accepted(fn)).toEqual([]);
});
