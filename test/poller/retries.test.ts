/** When another attempt is made, and when none is any more. The poller on a real server. */
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "nats";
import { expect, test } from "vitest";
import { Dead } from "../../subjects/dead.ts";
import { ATTEMPT, DEAD_REASON } from "../../subjects/headers.ts";
import { DEAD_STREAM } from "../../subjects/streams.ts";
import { functionRecord } from "../support/function-record.ts";
import { poller, setting, until } from "../support/poller.ts";

const BACKOFF = { min: 50, max: 50 };
const handled = (settings: object) => {
  const config = { LastModified: 0, DestinationConfig: { OnSuccess: {}, OnFailure: {} }, ...settings };
  return { ...functionRecord("f"), queue: { MaximumConcurrency: 1 }, eventInvoke: { $LATEST: config } };
};

async function letterOf(nats: NatsConnection) {
  const { direct } = await jetstreamManager(nats);
  const letter = await direct.getMessage(DEAD_STREAM, { last_by_subj: Dead.subject({ fn: "f" }) });
  return [letter?.header.get(DEAD_REASON), letter?.header.get(ATTEMPT)];
}

test.each([
  { server: "with schedules", hasSchedules: true },
  { server: "without schedules", hasSchedules: false },
])("on a server $server what waits for another attempt holds no slot", async ({ hasSchedules }) => {
  const calls: Array<{ payload: string; attempt: number }> = [];
  const { server, publish, left } = await setting(
    (run) => {
      calls.push({ payload: run.payload, attempt: run.call.attempt });
      if (run.call.attempt === 1) run.fail();
      else run.ok();
    },
    [handled({})],
  );
  await poller(server, { hasSchedules, standard: { concurrency: 1, retryDelaysMs: [1500], backoffMs: BACKOFF } });
  for (const payload of ["1", "2", "3", "4", "5"]) await publish("f", payload);
  await until(left).toBe(0);
  expect(calls.slice(0, 5).map(({ attempt }) => attempt)).toEqual([1, 1, 1, 1, 1]);
  expect(
    calls
      .slice(5)
      .map(({ payload, attempt }) => [payload, attempt])
      .sort(),
  ).toEqual(["1", "2", "3", "4", "5"].map((payload) => [payload, 2]));
});

test.each([0, 1, 2])(
  "a function that wants %d retries gets one attempt more, then the event is dead",
  async (retries) => {
    const attempts: number[] = [];
    const { server, nats, publish, left } = await setting(
      (run) => {
        attempts.push(run.call.attempt);
        run.fail();
      },
      [handled({ MaximumRetryAttempts: retries })],
    );
    await poller(server, { standard: { concurrency: 1, retryDelaysMs: [50], backoffMs: BACKOFF } });
    await publish("f", "{}");
    await until(left).toBe(0);
    expect(attempts).toEqual([1, 2, 3].slice(0, retries + 1));
    expect(await letterOf(nats)).toEqual(["RetriesExhausted", String(retries + 1)]);
  },
);

test("an event whose next attempt would come after its greatest age is dead at once", async () => {
  const { server, nats, publish, left } = await setting(
    (run) => run.fail(),
    [handled({ MaximumEventAgeInSeconds: 60 })],
  );
  await poller(server, { standard: { concurrency: 1, retryDelaysMs: [60_000], backoffMs: BACKOFF } });
  await publish("f", "{}");
  await until(left).toBe(0);
  expect(await letterOf(nats)).toEqual(["EventAgeExceeded", "1"]);
});

test("a throttled one isn't tried beyond its greatest age either", async () => {
  const { server, nats, publish, left } = await setting(
    (run) => run.refuse(429, "TooManyRequestsException"),
    [handled({ MaximumEventAgeInSeconds: 60 })],
  );
  const backoffMs = { min: 60_000, max: 60_000 };
  await poller(server, { standard: { concurrency: 1, retryDelaysMs: [50], backoffMs } });
  await publish("f", "{}");
  await until(left).toBe(0);
  expect(await letterOf(nats)).toEqual(["EventAgeExceeded", "1"]);
});
