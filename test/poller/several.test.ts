/** Several pollers at the same queues, some of whom are killed. */
import { headers } from "nats";
import { expect, test } from "vitest";
import { UserAsyncQualified } from "../../subjects/async.ts";
import { REQUEST_ID } from "../../subjects/headers.ts";
import { functionRecord } from "../support/function-record.ts";
import { poller, type Run, setting, until } from "../support/poller.ts";

const FIRST_RETRY_ONLY = { retryDelaysMs: [50], backoffMs: { min: 50, max: 50 } };
const hot = { ...functionRecord("hot"), queue: { MaximumConcurrency: 2 } };

test("a function's limit holds for all pollers and all of its queues together, and the events of a killed one go on", async () => {
  const held: Run[] = [];
  const ended = new Set<string>();
  let peak = 0;
  const { server, nats, publish, left } = await setting(
    (run) => {
      held.push(run);
      peak = Math.max(peak, held.length);
    },
    [hot],
  );
  const standard = { concurrency: 4, ...FIRST_RETRY_ONLY };
  const pollers = [await poller(server, { standard }), await poller(server, { standard })];
  const qualified = (n: number) =>
    nats.request(UserAsyncQualified.subject({ fn: "hot", qualifier: "live" }), String(n), { timeout: 2000 });
  for (let n = 0; n < 20; n++) await (n % 2 === 0 ? publish("hot", String(n)) : qualified(n));
  /** Ends what runs, so many events: at its first attempt each fails, at its second it succeeds. */
  const work = async (events: number) => {
    await until(() => {
      for (const run of held.splice(0, 1)) {
        if (run.call.attempt === 1) run.fail();
        else {
          run.ok();
          ended.add(run.payload);
        }
      }
      return ended.size >= events;
    }).toBe(true);
  };
  await work(5);
  const owner = pollers.find(({ events }) => events.size > 0);
  expect(pollers.filter(({ events }) => events.size > 0)).toEqual([owner]);
  expect(peak).toBe(2);
  // What a killed one had begun goes on beside: it is out of the count.
  await owner?.kill();
  held.splice(0);
  await work(20);
  await until(left).toBe(0);
  expect(peak).toBe(2);
});

test("what was accepted is accounted for after pollers were killed, each event once, however often it ran", async () => {
  const runs: Run[] = [];
  const { server, publish, left } = await setting((run) => void runs.push(run), [hot]);
  const change = { standard: { concurrency: 4, ...FIRST_RETRY_ONLY } };
  const first = await poller(server, change);
  for (let n = 0; n < 9; n++) await publish("hot", String(n));
  const work = () => {
    for (const run of runs.splice(0)) {
      if (Number(run.payload) % 3 === 0) run.refuse(400, "InvalidRequestContentException");
      else if (run.call.attempt === 1) run.fail();
      else run.ok();
    }
  };
  await until(async () => {
    work();
    return (await first.totals()).succeeded;
  }).toBeGreaterThan(1);
  await until(() => runs.length).toBe(2);
  await first.kill();
  const second = await poller(server, change);
  const { accepted, succeeded, dead, waiting, running } = await second.totals();
  expect(accepted).toBe(9);
  expect(succeeded).toBeGreaterThan(1);
  expect(succeeded + dead + waiting + running).toBe(9);
  await until(async () => {
    work();
    return left();
  }).toBe(0);
  expect(await second.totals()).toMatchObject({ accepted: 9, succeeded: 6, dead: 3, waiting: 0, running: 0 });
  expect((await second.totals()).counted.succeeded).toBeLessThan(6);
});

test("two events that their senders gave the same request id wait for their next attempts beside each other", async () => {
  const calls: number[] = [];
  const { server, nats, left } = await setting((run) => {
    calls.push(run.call.attempt);
    if (run.call.attempt === 1) run.fail();
    else run.ok();
  });
  const sent = headers();
  sent.set(REQUEST_ID, "the-same");
  await poller(server, { standard: { concurrency: 1, retryDelaysMs: [1000], backoffMs: { min: 50, max: 50 } } });
  for (const payload of ["1", "2"]) await nats.request("mayfly.async.f", payload, { headers: sent, timeout: 2000 });
  await until(left).toBe(0);
  expect(calls.sort()).toEqual([1, 1, 2, 2]);
});
