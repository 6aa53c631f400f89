import { expect, test } from "vitest";
import { eventHeader } from "../../actors/sandbox/event-header.ts";
import { call } from "../support/machines.ts";

test("a call's trace goes with it, and one without gets a trace that nobody records", () => {
  expect(eventHeader({ ...call("q1"), traceId: "Root=1-a" }, 5)).toMatchObject({
    requestId: "q1",
    traceId: "Root=1-a",
  });
  const [first, second] = [eventHeader(call("q1"), 5), eventHeader(call("q1"), 5)];
  expect(first.traceId).toMatch(/^Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0$/);
  expect(first.traceId).not.toBe(second.traceId);
});
