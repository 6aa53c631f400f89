/** What a sandbox takes for a call, and how it says that it takes one. */
import { describe, expect, test } from "vitest";
import type { Said } from "../../actors/bus/port.ts";
import type { Delivery } from "../../actors/bus/wiring.ts";
import { outcomeOf } from "../../actors/sandbox/outcome.ts";
import { BLANK } from "../../actors/sandbox/sandbox.ts";
import { sandboxWiring } from "../../actors/sandbox/wiring.ts";
import { CALL, ERROR, ERROR_CODE, EVENT_TYPE, FUNCTION_ERROR, REQUEST_ID } from "../../subjects/headers.ts";
import { INVOKE_COMPLETE } from "../../subjects/response-stream.ts";
import { type Call, InvokeSandbox } from "../../subjects/worker.ts";
import { call, spec } from "../support/machines.ts";

const row = sandboxWiring("w1").hears.find(({ contract }) => contract.pattern === InvokeSandbox.pattern);
const heard = (header: string | undefined) =>
  row?.toEvent(new Uint8Array(), {
    message: { header: (name: string) => (name === CALL ? header : undefined) },
  } as unknown as Delivery);

test("a front end's call is heard as it was sent", () => {
  expect(heard(JSON.stringify(call("q1")))).toMatchObject({ type: "sandbox.invoke", call: call("q1") });
});

test.each([undefined, "no JSON", "null", "{}", JSON.stringify({ ...call("q1"), frontendId: "fe1.>" })])(
  "a header that is no call is refused before the sandbox hears of it: %s",
  (header) => {
    expect(() => heard(header)).toThrow();
  },
);

const made = {
  sandboxId: "s1",
  workerId: "w1",
  poolId: "p1",
  spec: spec(),
  isolation: "x",
  limits: { initMs: 1, idleMs: 1 },
  ...BLANK,
};

describe("a call whose worker had been given up", () => {
  const { finished } = sandboxWiring("w1").says;
  const said = (change: Partial<Call>) => {
    const job = { call: { ...call("q1"), ...change }, startedUs: 0, startedAt: 0, cold: false, bootsAgain: false };
    const outcome = outcomeOf({ type: "sandbox.stop", us: 5 }, null, "q1", 3000);
    return (finished as (event: object) => readonly Said[])({ sandbox: { ...made, leaving: "r" }, job, outcome });
  };
  const lost = {
    subject: "reply.q1",
    headers: { [REQUEST_ID]: "q1", [ERROR_CODE]: "500", [ERROR]: expect.stringContaining("worker w1 was lost") },
  };

  test("ends as a fault of the platform, and no error of the function", () => {
    const [toFrontend, toCaller, ...lines] = said({});
    expect(JSON.parse(String(toFrontend?.payload))).toMatchObject({ outcome: "lost", alive: false });
    expect(toCaller).toMatchObject(lost);
    expect(toCaller?.headers).not.toHaveProperty(FUNCTION_ERROR);
    expect(lines.map(({ payload }) => payload).join()).toContain("Error Type: Sandbox.Abandoned");
  });

  test("which is the end of a stream", () => {
    expect(said({ streams: true })[1]).toMatchObject({
      ...lost,
      headers: { ...lost.headers, [EVENT_TYPE]: INVOKE_COMPLETE },
    });
  });
});

describe("a sandbox that is usable", () => {
  const { reported } = sandboxWiring("w1").says;
  const said = (state: "idle" | "failed" | "dead", wantedBy?: string) =>
    [(reported as (event: object) => Said | readonly Said[])({ sandbox: { ...made, wantedBy }, state, reason: "r" })]
      .flat()
      .map(({ subject, payload }) => [subject, JSON.parse(String(payload))]);
  const report = (more: object) => ["mayfly.sandbox.w1.s1", { poolId: "p1", reason: "r", ...more }];

  test("is granted to who it was made for, and then reported as that front end's", () => {
    expect(said("idle", "fe1")).toEqual([
      ["mayfly.frontend.fe1.grant.p1", { sandboxId: "s1", workerId: "w1" }],
      report({ state: "idle", grantedTo: "fe1" }),
    ]);
  });

  test("is left to the worker manager where it was made for nobody, and so is one that isn't usable", () => {
    expect(said("idle")).toEqual([report({ state: "idle" })]);
    expect(said("failed", "fe1")).toEqual([report({ state: "failed" })]);
    expect(said("dead", "fe1")).toEqual([report({ state: "dead" })]);
  });
});
