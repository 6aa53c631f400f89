/** What a sandbox takes for a call. */
import { expect, test } from "vitest";
import type { Delivery } from "../../actors/bus/wiring.ts";
import { sandboxWiring } from "../../actors/sandbox/wiring.ts";
import { CALL } from "../../subjects/headers.ts";
import { InvokeSandbox } from "../../subjects/worker.ts";
import { call } from "../support/machines.ts";

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
