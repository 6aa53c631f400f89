/** Every subject of Mayfly is built by a contract, and read by the same. */
import fc from "fast-check";
import { expect, test } from "vitest";
import * as api from "../../subjects/api.ts";
import type { Contract } from "../../subjects/contract.ts";
import { IllegalToken, isToken, raw } from "../../subjects/contract.ts";
import * as counting from "../../subjects/counting.ts";
import * as invoke from "../../subjects/invoke.ts";
import * as logs from "../../subjects/logs.ts";
import * as placement from "../../subjects/placement.ts";
import { PLATFORM_SUBJECTS } from "../../subjects/platform.ts";
import * as state from "../../subjects/state.ts";
import * as worker from "../../subjects/worker.ts";
import * as workerManager from "../../subjects/worker-manager.ts";

const isContract = (value: unknown): value is Contract =>
  typeof value === "object" && value !== null && "pattern" in value && "subject" in value;
const modules: readonly object[] = [api, counting, invoke, logs, placement, state, worker, workerManager];
const contracts = modules.flatMap((each) => (Object.values(each) as unknown[]).filter(isContract));

const slotsOf = ({ pattern }: Contract): string[] => [...pattern.matchAll(/\{(\w+)\}/g)].map(([, slot = ""]) => slot);
const token = fc.stringMatching(/^[A-Za-z0-9_-]{1,12}$/);

test.each(contracts.map((each) => [each.pattern, each] as const))("%s reads back what it wrote", (_, contract) => {
  fc.assert(
    fc.property(fc.array(token, { minLength: 6, maxLength: 6 }), (tokens) => {
      const address = Object.fromEntries(slotsOf(contract).map((slot, at) => [slot, tokens[at] ?? ""]));
      const subject = contract.subject(address);
      expect(subject.split(".").every(isToken)).toBe(true);
      expect(contract.address(subject)).toEqual(address);
    }),
    { numRuns: 20 },
  );
});

test("nothing that isn't one token gets into a subject", () => {
  const contract = raw("mayfly.test.{id}");
  for (const bad of ["a.b", "*", ">", "", "a b", "$LATEST", "ä", "a\n"]) {
    expect(() => contract.subject({ id: bad }), bad).toThrow(IllegalToken);
  }
  fc.assert(fc.property(fc.string(), (text) => isToken(text) === (text.length > 0 && !/[^A-Za-z0-9_-]/.test(text))));
});

test("a slot left out is a wildcard, to listen to all", () => {
  expect(worker.Heartbeat.subject()).toBe("mayfly.worker.*.heartbeat");
  expect(worker.InvokeSandbox.subject({ workerId: "w1" })).toBe("mayfly.worker.w1.invoke.*");
});

test("no two contracts are the same subject, and none swallows another", () => {
  const patterns = contracts.map(({ pattern }) => pattern.replaceAll(/\{\w+\}/g, "*"));
  expect(new Set(patterns).size).toBe(patterns.length);
});

test("what only components say is closed to people; what is said for a tenant is not among it", () => {
  const isClosed = (subject: string) =>
    PLATFORM_SUBJECTS.some((each) => (each.endsWith(".>") ? subject.startsWith(each.slice(0, -1)) : subject === each));
  const open = contracts
    .map(({ pattern }) => pattern)
    .filter((pattern) => !isClosed(pattern))
    .sort();
  expect(open).toEqual([
    "mayfly.api.{operation}",
    "mayfly.inspect.{actor}.{id}",
    "mayfly.invoke.{fn}",
    "mayfly.invoke.{fn}.{qualifier}",
    "mayfly.{acct}.api.{operation}",
    "mayfly.{acct}.invoke.{fn}",
    "mayfly.{acct}.invoke.{fn}.{qualifier}",
    "mayfly.{acct}.logs.{fn}.{sandboxId}",
  ]);
});
