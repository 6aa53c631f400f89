/** The words of a mapping that are read without asking anybody: filter patterns, schedules, and whose a place is. */
import { describe, expect, it } from "vitest";
import { isFilterPattern } from "../../actors/control-plane/validation/filter-pattern.ts";
import { isSchedule, isTimeZone } from "../../actors/control-plane/validation/schedule.ts";
import { destinationTarget } from "../../subjects/event-invoke.ts";
import { sourceArn, sourceNamed } from "../../subjects/mapping.ts";

describe("a filter pattern", () => {
  it.each([
    { data: { a: [1, "b", true, null] } },
    { data: { a: [{ prefix: "x" }, { suffix: "y" }, { "equals-ignore-case": "z" }] } },
    { data: { a: [{ "anything-but": ["x", 1] }], b: [{ "anything-but": { prefix: "x" } }] } },
    { data: { a: [{ exists: false }], b: [{ numeric: [">", 0, "<=", 5] }], c: [{ numeric: ["=", 3] }] } },
    { $or: [{ data: { a: [1] } }, { data: { b: [2] } }] },
  ])("is %j", (pattern) => expect(isFilterPattern(JSON.stringify(pattern))).toBe(true));

  it.each([
    {},
    [],
    "x",
    { data: "x" },
    { data: [] },
    { data: { a: [[]] } },
    { a: [{ prefix: 1 }] },
    { a: [{ prefix: "x", suffix: "y" }] },
    { a: [{ constructor: 1 }] },
    { a: [{ numeric: ["<", 5, ">", 0] }] },
    { a: [{ numeric: [">", 5, "<", 0] }] },
    { $or: { a: [1] } },
  ])("isn't %j", (pattern) => expect(isFilterPattern(JSON.stringify(pattern))).toBe(false));

  it("isn't what is no JSON", () => expect(isFilterPattern("{")).toBe(false));
});

describe("a schedule", () => {
  it.each([
    "rate(1 minute)",
    "rate(5 hours)",
    "cron(0/15 8-18 ? * MON-FRI *)",
    "cron(0 10 L * ? 2027)",
    "cron(0 10 ? JAN,JUL 6#3 *)",
    "cron(5,35 14 15W * ? 2026-2030)",
    "at(2028-02-29T23:59:59)",
  ])("is %s", (text) => expect(isSchedule(text)).toBe(true));

  it.each([
    "rate(0 minutes)",
    "rate(1 minutes)",
    "rate(5 minute)",
    "rate(5 seconds)",
    "cron(* * * * *)",
    "cron(0 24 ? * * *)",
    "cron(0 10 ? * ? *)",
    "cron(0 10 1 * 1 *)",
    "cron(0 10 32 * ? *)",
    "cron(0/0 10 ? * * *)",
    "at(2027-02-29T00:00:00)",
    "every day",
  ])("isn't %s", (text) => expect(isSchedule(text)).toBe(false));

  it("has a zone that is known", () => {
    expect(isTimeZone("America/New_York")).toBe(true);
    expect(isTimeZone("nowhere")).toBe(false);
  });
});

describe("an ARN", () => {
  it.each([
    "subject/orders.*.created",
    "stream/ORDERS",
    "stream/ORDERS/orders.>",
    "bucket/PRICES/eu.*",
    "objects/PICTURES",
    "schedule/rate(5 minutes)",
  ])("of a source is read and written the same: %s", (what) => {
    const source = sourceNamed(`arn:aws:nats:::${what}`);
    expect(source && sourceArn(source)).toBe(`arn:aws:nats:::${what}`);
  });

  it("of a destination tells what it stands for", () => {
    expect(destinationTarget("arn:aws:nats:::stream/ORDERS/orders.a/b")).toEqual({
      kind: "stream",
      stream: "ORDERS",
      subject: "orders.a/b",
    });
    expect(destinationTarget("arn:aws:lambda:eu-west-1:000000000000:function:f:live")).toEqual({
      kind: "function",
      acct: "000000000000",
      fn: "f",
      qualifier: "live",
    });
    expect(destinationTarget("arn:aws:nats:::subject/a\nb")).toBeUndefined();
  });
});
