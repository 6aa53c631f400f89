/** `mayfly trigger`, on a real server where nobody makes the wishes so but the test. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MappingRecord } from "../../subjects/mapping.ts";
import { type Platform, startPlatform } from "./platform.ts";

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform();
  await platform.make("hello");
});
afterAll(async () => platform?.[Symbol.asyncDispose]());

const says = (pattern: RegExp) => expect.stringMatching(pattern);
const mayfly: Platform["mayfly"] = (...args) => platform.mayfly(...args);
const asked = <T>(...args: string[]): Promise<T> => platform.asked<T>(...args);

interface Told {
  UUID: string;
  State: string;
}

/** Makes every wish so at once, as triggers do. */
async function makingWishesSo() {
  const { triggers } = platform.plane.storage;
  const so: Partial<Record<MappingRecord["state"], MappingRecord["state"]>> = {
    Creating: "Enabled",
    Enabling: "Enabled",
    Updating: "Enabled",
    Disabling: "Disabled",
  };
  return triggers.watch(({ key, value, revision }) => {
    if (value === undefined) return;
    const mapping = MappingRecord.parse(value);
    const state = so[mapping.state];
    if (mapping.state === "Deleting") void triggers.delete(key, revision);
    else if (state !== undefined) void triggers.update(key, { ...mapping, state }, revision);
  });
}

describe("mayfly trigger", () => {
  it("adds, lists, shows, changes, disables, enables and deletes one, and tells when it is so", async () => {
    const triggers = await makingWishesSo();
    try {
      const added = await mayfly(["trigger", "add", "hello", "subject:orders.>", "--filter", '{"body":{"a":[1]}}'], {
        as: "mayfly",
      });
      expect(added).toMatchObject({ code: 0, stdout: says(/^[0-9a-f-]{36} {2}subject:orders\.> → hello: Enabled\n$/) });
      const id = added.stdout.slice(0, 8);
      expect((await mayfly(["trigger", "ls"])).stdout).toMatch(
        new RegExp(`^${id}\\S+ +hello +subject:orders.> +Enabled`, "m"),
      );
      expect(await asked<Told>("trigger", "disable", id)).toMatchObject({ State: "Disabled" });
      expect(await asked<Told>("trigger", "enable", id)).toMatchObject({ State: "Enabled" });
      expect(await asked("trigger", "show", id)).toMatchObject({
        EventSourceArn: "arn:aws:nats:::subject/orders.>",
        FilterCriteria: { Filters: [{ Pattern: '{"body":{"a":[1]}}' }] },
      });
      const changed = await asked("trigger", "update", id, "--filter", "none");
      expect(changed).not.toHaveProperty("FilterCriteria");
      expect((await mayfly(["trigger", "rm", id])).stdout).toBe("the trigger is deleted\n");
      expect(await asked("trigger", "ls")).toEqual([]);
    } finally {
      triggers.stop();
    }
  });

  it("takes every setting of a stream", async () => {
    const words = [
      "--from",
      "start",
      "--batch",
      "10",
      "--window",
      "5s",
      "--retries",
      "3",
      "--max-age",
      "1h",
      "--bisect",
    ];
    const more = ["--item-failures", "--on-failure", "subject:orders.failed", "--max-concurrency", "2", "--in-order"];
    const added = await asked<Told>(
      "trigger",
      "add",
      "hello",
      "stream:ORDERS/orders.*",
      ...words,
      ...more,
      "--no-wait",
    );
    expect(added).toMatchObject({
      State: "Creating",
      StartingPosition: "TRIM_HORIZON",
      BatchSize: 10,
      MaximumBatchingWindowInSeconds: 5,
      MaximumRetryAttempts: 3,
      MaximumRecordAgeInSeconds: 3600,
      BisectBatchOnFunctionError: true,
      FunctionResponseTypes: ["ReportBatchItemFailures"],
      DestinationConfig: { OnFailure: { Destination: "arn:aws:nats:::subject/orders.failed" } },
      ScalingConfig: { MaximumConcurrency: 2 },
      InOrder: true,
    });
    const back = ["--retries", "forever", "--no-bisect", "--no-item-failures", "--on-failure", "none"];
    const updated = await asked("trigger", "update", added.UUID, ...back, "--max-concurrency", "0", "--no-wait");
    expect(updated).toMatchObject({
      BatchSize: 10,
      MaximumRetryAttempts: -1,
      BisectBatchOnFunctionError: false,
      FunctionResponseTypes: [],
      DestinationConfig: { OnFailure: {} },
    });
    expect(updated).not.toHaveProperty("ScalingConfig");
  });

  it.each([
    [["cron(0 9 ? * MON-FRI *)", "--time-zone", "Europe/Paris"], { TimeZone: "Europe/Paris" }],
    [["rate(5 minutes)", "--disabled"], { EventSourceArn: "arn:aws:nats:::schedule/rate(5 minutes)" }],
    [["bucket:PRICES/eu.*"], { EventSourceArn: "arn:aws:nats:::bucket/PRICES/eu.*", StartingPosition: "LATEST" }],
    [["objects:PICTURES", "--from", "2026-01-31T12:00:00Z"], { StartingPositionTimestamp: 1769860800 }],
    [["subject:price.*", "--reply"], { Reply: true }],
  ])("takes %j", async (words, told) => {
    expect(await asked("trigger", "add", "hello", ...words, "--no-wait")).toMatchObject(told);
  });

  it("tells at once what a trigger met, and what is left behind by a function that is deleted", async () => {
    const { triggers } = platform.plane.storage;
    await platform.make("late");
    const met = "PROBLEM: its time has passed";
    const watching = await triggers.watch(({ key, value, revision }) => {
      const mapping = value === undefined ? undefined : MappingRecord.parse(value);
      if (mapping?.fn === "late" && mapping.state === "Creating")
        void triggers.update(key, { ...mapping, state: "Enabled", lastProcessingResult: met }, revision);
    });
    try {
      const added = await mayfly(["trigger", "add", "late", "at(2020-01-31T12:00:00)"]);
      expect(added).toMatchObject({ code: 0, stdout: says(/: Enabled\n$/), stderr: `${met}\n` });
      expect(await mayfly(["rm", "late"])).toMatchObject({
        code: 0,
        stdout: "late is deleted\n",
        stderr: "a trigger still calls it: mayfly trigger ls late\n",
      });
    } finally {
      watching.stop();
    }
  });

  it("refuses by usage what can't be a source, and by name what the platform refuses", async () => {
    const add = (...words: string[]) => mayfly(["trigger", "add", "hello", ...words, "--no-wait"]);
    expect(await add("subject:mayfly.state.>")).toMatchObject({ code: 2, stderr: says(/is no source of yours/) });
    expect(await add("queue:x")).toMatchObject({ code: 2 });
    expect(await add("subject:x", "--filter", "paid")).toMatchObject({ code: 2 });
    expect(await add("stream:ORDERS2")).toMatchObject({ code: 2, stderr: says(/--from start/) });
    expect(await add("rate(1 hours)")).toMatchObject({ code: 3, stderr: says(/Invalid Schedule Expression/) });
    expect(await mayfly(["trigger", "add", "nobody", "subject:x"])).toMatchObject({ code: 3 });
    expect(await mayfly(["trigger", "rm", "zzz"])).toMatchObject({ code: 2, stderr: says(/no trigger's id begins/) });
  });
});
