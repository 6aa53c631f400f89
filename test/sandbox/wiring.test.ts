/** What a sandbox takes for a call, and how it says that it takes one. */
import { describe, expect, test } from "vitest";
import type { Said } from "../../actors/bus/port.ts";
import type { Delivery } from "../../actors/bus/wiring.ts";
import { BLANK } from "../../actors/sandbox/sandbox.ts";
import { sandboxWiring } from "../../actors/sandbox/wiring.ts";
import { CALL } from "../../subjects/headers.ts";
import { InvokeSandbox } from "../../subjects/worker.ts";
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

describe("a sandbox that is usable", () => {
  const { reported } = sandboxWiring("w1").says;
  const made = {
    sandboxId: "s1",
    workerId: "w1",
    poolId: "p1",
    spec: spec(),
    isolation: "x",
    limits: { initMs: 1, idleMs: 1 },
    ...BLANK,
  };
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
