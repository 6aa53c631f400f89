import { describe, expect, test } from "vitest";
import { refusal } from "../../subjects/errors.ts";
import { FUNCTION_ERROR, REQUEST_ID } from "../../subjects/headers.ts";
import type { Finished } from "../../subjects/worker.ts";
import { givenInvocation, INVOCATION_LIMITS, spec } from "../support/machines.ts";

const sandbox = { sandboxId: "s1", workerId: "w1" };
const admitted = { type: "lease.admitted" } as const;
const granted = { type: "lease.granted", sandbox } as const;
const finished = (outcome: Finished["outcome"], alive = true) =>
  ({
    type: "worker.finished",
    result: { sandboxId: "s1", outcome, cold: false, createUs: 0, initUs: 0, runUs: 5, alive },
  }) as const;
const no = refusal("TooManyRequestsException", "Rate Exceeded.");
const refused = (name: string) => ({
  type: "refuse",
  to: "reply.q1",
  refusal: { name },
  headers: { [REQUEST_ID]: "q1" },
});
const ticks = (ms: number) =>
  Array.from({ length: ms / INVOCATION_LIMITS.tickMs }, () => ({ type: "invocation.ticked" }) as const);

const running = () => givenInvocation().when(admitted, granted);

describe("a request", () => {
  test("that is wrong in itself is refused before it costs anything", () => {
    const invocation = givenInvocation({ refused: refusal("InvalidRequestContentException", "no JSON") });
    expect(invocation.said).toMatchObject([refused("InvalidRequestContentException")]);
    expect(invocation.told).toEqual([]);
  });

  test("for a function that isn't in the copy is looked up first", () => {
    const invocation = givenInvocation({ spec: undefined });
    expect(invocation.told).toEqual(["look"]);
    expect(invocation.when({ type: "metadata.found", spec: spec() }).state).toBe("admitting");
  });

  test("for a function that isn't there is refused in the words of who looked", () => {
    const missing = refusal("ResourceNotFoundException", "Function not found");
    const invocation = givenInvocation({ spec: undefined }).when({ type: "metadata.missing", refusal: missing });
    expect(invocation.said).toMatchObject([refused("ResourceNotFoundException")]);
  });

  test("that is a dry run is answered without running anything, also when the function had to be looked up", () => {
    expect(givenInvocation({ dryRun: true }).said).toMatchObject([{ type: "reply", payload: "" }]);
    const looked = givenInvocation({ dryRun: true, spec: undefined }).when({ type: "metadata.found", spec: spec() });
    expect(looked.said).toMatchObject([{ type: "reply", payload: "" }]);
    expect(looked.isOver).toBe(true);
  });
});

describe("whatever a caller who asked for a stream is told by the front end", () => {
  const streaming = () => givenInvocation({ streams: true });
  test.each([
    { what: "a refusal", invocation: () => streaming().when({ type: "lease.refused", refusal: no }) },
    {
      what: "the loss of the worker in the middle",
      invocation: () => streaming().when(admitted, granted, { type: "worker.lost", workerId: sandbox.workerId }),
    },
    {
      what: "a failed init",
      invocation: () => streaming().when(admitted, { type: "lease.failed", functionError: "{}" }),
    },
  ])("is the end: $what", ({ invocation }) => {
    expect(invocation().said.at(-1)).toMatchObject({ headers: { "Mayfly-Event-Type": "InvokeComplete" } });
  });
});

describe("an event for later", () => {
  const event = () => givenInvocation({ event: { id: undefined } });

  test("is stored before its caller is answered, and nothing of it runs here", () => {
    expect(event()).toMatchObject({ state: "enqueuing", told: ["enqueue"], said: [] });
    expect(event().when({ type: "event.stored" })).toMatchObject({
      isOver: true,
      said: [{ type: "reply", to: "reply.q1", payload: "", headers: { [REQUEST_ID]: "q1" } }],
    });
  });

  test("that is not stored is refused with the reason", () => {
    expect(event().when({ type: "event.notStored", refusal: no }).said).toMatchObject([
      refused("TooManyRequestsException"),
    ]);
  });

  test("for a function that isn't there is refused", () => {
    const missing = refusal("ResourceNotFoundException", "Function not found");
    const unknown = givenInvocation({ event: { id: undefined }, spec: undefined });
    expect(unknown.when({ type: "metadata.missing", refusal: missing }).said).toMatchObject([
      refused("ResourceNotFoundException"),
    ]);
  });
});

describe("an invocation", () => {
  test("goes to the sandbox it was granted, and ends when the worker says so, which has answered the caller itself", () => {
    const invocation = running();
    expect(invocation.said).toMatchObject([{ type: "invoke", invocation: { sandbox } }]);
    expect(invocation.when(finished("ok")).said).toEqual([{ type: "answered", to: "reply.q1" }]);
    expect(invocation.told).toEqual(["finish"]);
  });

  test("needs no waiting when token and sandbox are at hand", () => {
    expect(givenInvocation().when(granted).state).toBe("running");
  });

  test("that a function failed counts as an error, and is answered all the same", () => {
    expect(running().when(finished("function-error")).said).toEqual([
      { type: "answered", to: "reply.q1", error: "Unhandled" },
    ]);
  });

  test("whose worker had been given up is over, and its caller was told so by the worker", () => {
    const invocation = running().when(finished("lost", false));
    expect([invocation.state, invocation.said]).toEqual([
      "refused",
      [{ type: "answered", to: "reply.q1", error: "Unhandled" }],
    ]);
    expect(invocation.told).toEqual(["finish"]);
  });

  test("that was throttled is refused with the reason", () => {
    expect(givenInvocation().when({ type: "lease.refused", refusal: no }).said).toMatchObject([
      refused("TooManyRequestsException"),
    ]);
  });

  test("whose runtime failed in init is answered in the runtime's own words, as a function error", () => {
    const invocation = givenInvocation().when(admitted, { type: "lease.failed", functionError: '{"errorType":"E"}' });
    expect(invocation.said).toMatchObject([
      { type: "reply", payload: '{"errorType":"E"}', headers: { [FUNCTION_ERROR]: "Unhandled" } },
    ]);
  });
});

describe("a sandbox that refuses", () => {
  test("is given up for another one", () => {
    const invocation = running().when(finished("refused"));
    expect(invocation.state).toBe("reserving");
    expect(invocation.told).toEqual(["finish"]);
    expect(invocation.when(granted).said).toMatchObject([{ type: "invoke" }]);
  });

  test("five times in a row refuses the invocation", () => {
    const invocation = running();
    for (let attempt = 1; attempt < 5; attempt++) invocation.when(finished("refused"), granted);
    expect(invocation.when(finished("refused")).said).toMatchObject([refused("ServiceException")]);
    expect(invocation.told).toEqual(["abandon"]);
  });
});

describe("time", () => {
  test("to find a sandbox is limited, and the wait is given up in the leases too", () => {
    const invocation = givenInvocation()
      .when(admitted)
      .when(...ticks(INVOCATION_LIMITS.reserveMs + INVOCATION_LIMITS.tickMs));
    expect(invocation.said).toMatchObject([refused("ServiceException")]);
    expect(invocation.told).toEqual(["leave"]);
  });

  test("to hear from the worker is the function's own, an init and some grace: never less than the function has", () => {
    const ownMs = spec().timeoutMs + INVOCATION_LIMITS.initMs;
    const invocation = running().when(...ticks(ownMs));
    expect(invocation.state).toBe("running");
    expect(invocation.when(...ticks(INVOCATION_LIMITS.graceMs + INVOCATION_LIMITS.tickMs)).said).toMatchObject([
      refused("ServiceException"),
    ]);
  });
});

test("a lost worker fails its own invocations at once, and nobody else's", () => {
  expect(running().when({ type: "worker.lost", workerId: "w2" }).state).toBe("running");
  const lost = running().when({ type: "worker.lost", workerId: "w1" });
  expect(lost.said).toMatchObject([refused("ServiceException")]);
  expect(lost.told).toEqual(["abandon"]);
});
