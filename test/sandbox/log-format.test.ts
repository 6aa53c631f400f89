/** LogFormat JSON: the platform's lines, and which lines are kept. */
import { describe, expect, it, test } from "vitest";
import {
  closingLines,
  droppedLines,
  initClosingLines,
  initOpeningLines,
  openingLines,
  type Spent,
} from "../../actors/sandbox/lines.ts";
import { isKept } from "../../actors/sandbox/log-format.ts";
import type { Job, SandboxContext } from "../../actors/sandbox/machine.ts";
import type { Outcome } from "../../actors/sandbox/outcome.ts";
import type { FunctionSpec } from "../../subjects/function.ts";
import { linesIn } from "../../subjects/logs.ts";
import { call, spec } from "../support/machines.ts";

const sandbox = (change: Partial<FunctionSpec>) => ({ spec: spec(change) }) as SandboxContext;
const job: Job = { call: call("q1"), startedUs: 0, startedAt: Date.UTC(2026, 0, 1), cold: true, bootsAgain: false };
const time: Spent = { queuedUs: 1, createUs: 2, initUs: 98_765, runUs: 1500, durationUs: 1500, fromStem: false };
const usage = { peakMemoryMiB: 57, tail: undefined };
const ok: Outcome = { kind: "ok", payload: new Uint8Array(12), us: 1500, usage };
const failed = (errorType: string): Outcome => ({
  kind: "error",
  error: { errorType, payload: "{}" },
  us: 1500,
  usage,
});
const timeout: Outcome = { kind: "timeout", error: { errorType: "Sandbox.Timedout", payload: "{}" } };

const JSON_LOGS = { logFormat: "JSON", applicationLogLevel: "INFO", systemLogLevel: "INFO" } as const;
const events = (lines: readonly string[]) => lines.map((line) => JSON.parse(line) as { type: string; record: object });
const typesOf = (change: Partial<FunctionSpec>, outcome: Outcome) => {
  const its = sandbox({ ...JSON_LOGS, ...change });
  return events([...openingLines(its, job), ...closingLines(its, job, outcome, time)]).map(({ type }) => type);
};

describe("the platform's lines", () => {
  it("are Lambda's events in JSON", () => {
    const its = sandbox({ ...JSON_LOGS, systemLogLevel: "DEBUG" });
    expect(events([...openingLines(its, job), ...closingLines(its, job, ok, time)])).toEqual([
      {
        time: "2026-01-01T00:00:00.000Z",
        type: "platform.start",
        record: { requestId: "q1", version: "$LATEST" },
      },
      {
        time: "2026-01-01T00:00:00.001Z",
        type: "platform.runtimeDone",
        record: { requestId: "q1", status: "success", metrics: { durationMs: 1.5, producedBytes: 12 } },
      },
      {
        time: "2026-01-01T00:00:00.001Z",
        type: "platform.report",
        record: {
          requestId: "q1",
          status: "success",
          metrics: {
            durationMs: 1.5,
            billedDurationMs: 101,
            memorySizeMB: 128,
            maxMemoryUsedMB: 57,
            initDurationMs: 98.765,
          },
        },
      },
    ]);
  });

  it.each([
    ["error", "Runtime.Unknown", failed("TypeError")],
    ["error", "Function.Unknown", failed("Function.too bad")],
    ["error", "Function.TooBad", failed("Function.TooBad")],
    ["failure", "Runtime.ExitError", failed("Runtime.ExitError")],
    ["timeout", undefined, timeout],
  ])("tell of an end by %s with %s", (status, errorType, outcome) => {
    const its = sandbox(JSON_LOGS);
    const told = events(closingLines(its, job, outcome, time)).map(({ record }) => record);
    const expected = { status, ...(errorType === undefined ? {} : { errorType }) };
    expect(told).toMatchObject([expected, expected]);
  });

  it("are fewer the higher the level: a warning is left only of what went wrong", () => {
    const all = ["platform.start", "platform.runtimeDone", "platform.report"];
    expect(typesOf({ systemLogLevel: "DEBUG" }, ok)).toEqual(all);
    expect(typesOf({ systemLogLevel: "INFO" }, ok)).toEqual(["platform.start", "platform.report"]);
    expect(typesOf({ systemLogLevel: "WARN" }, ok)).toEqual([]);
    expect(typesOf({ systemLogLevel: "WARN" }, timeout)).toEqual(["platform.runtimeDone", "platform.report"]);
  });

  it("tell how much output was dropped, in either format", () => {
    const dropped = { lines: 3, bytes: 200 };
    expect(droppedLines(sandbox({}), dropped, 0)).toEqual([
      "LOGS_DROPPED 3 lines (200 bytes): more output than is kept",
    ]);
    expect(events(droppedLines(sandbox({ ...JSON_LOGS, systemLogLevel: "WARN" }), dropped, 0))).toMatchObject([
      { type: "platform.logsDropped", record: { droppedRecords: 3, droppedBytes: 200 } },
    ]);
  });

  it("are text where nothing else is asked for", () => {
    expect(openingLines(sandbox({}), job)).toEqual(["START RequestId: q1 Version: $LATEST"]);
    expect(closingLines(sandbox({}), job, ok, time)).toEqual([
      "END RequestId: q1\nREPORT RequestId: q1\tDuration: 1.50 ms\tBilled Duration: 101 ms\tMemory Size: 128 MB\tMax Memory Used: 57 MB\tInit Duration: 98.77 ms\t",
    ]);
  });
});

test("only an END and its REPORT are two lines of one message", () => {
  const closing = closingLines(sandbox({}), job, ok, time).flatMap(linesIn);
  expect(closing.map((line) => line.split(" ")[0])).toEqual(["END", "REPORT"]);
  for (const own of ["Error: far\n    at handler", "END RequestId: q1\nREPORT nothing", "END RequestId: q1"]) {
    expect(linesIn(own)).toEqual([own]);
  }
});

describe("of an init the platform's lines", () => {
  const init = (change: Partial<SandboxContext>, how: Partial<FunctionSpec> = {}) => {
    const bootedAt = Date.UTC(2026, 0, 1);
    const its = { spec: spec(how), job: null, initEnd: null, runtimeVersion: "nodejs:24.1.0", bootedAt, ...change };
    return [...initOpeningLines(its as SandboxContext), ...initClosingLines(its as SandboxContext)];
  };
  const start = "INIT_START Runtime Version: nodejs:24.1.0";

  it.each<[string, Partial<SandboxContext>, string[]]>([
    ["that went well say that it began", { initEnd: { status: "success", us: 1234 } }, [start]],
    [
      "that took too long say so",
      { initEnd: { status: "timeout", us: 10_000_000 } },
      [start, "INIT_REPORT Init Duration: 10000.00 ms\tPhase: init\tStatus: timeout"],
    ],
    [
      "that failed say why",
      { initEnd: { status: "error", errorType: "Runtime.ExitError", us: 1234 } },
      [start, "INIT_REPORT Init Duration: 1.23 ms\tPhase: init\tStatus: error\tError Type: Runtime.ExitError"],
    ],
    [
      "that failed by an error of the function's own don't name it",
      { initEnd: { status: "error", errorType: "TypeError\tStatus: success", us: 1234 } },
      [start, "INIT_REPORT Init Duration: 1.23 ms\tPhase: init\tStatus: error\tError Type: Runtime.Unknown"],
    ],
    ["that nobody waits for any more say no more", { initEnd: { status: "stopped", us: 0 } }, [start]],
    ["that is repeated and goes well say nothing", { job, initEnd: { status: "success", us: 1234 } }, []],
    [
      "that is repeated and fails say so",
      { job, initEnd: { status: "error", errorType: "Runtime.ExitError", us: 1234 } },
      ["INIT_REPORT Init Duration: 1.23 ms\tPhase: invoke\tStatus: error\tError Type: Runtime.ExitError"],
    ],
  ])("%s", (_, change, lines) => {
    expect(init(change)).toEqual(lines);
  });

  it("are fewer the higher the level in JSON: a warning is left only of what went wrong", () => {
    const types = (change: Partial<SandboxContext>, level: "DEBUG" | "INFO" | "WARN") =>
      events(init(change, { ...JSON_LOGS, systemLogLevel: level })).map(({ type }) => type);
    const all = ["platform.initStart", "platform.initRuntimeDone", "platform.initReport"];
    const well: Partial<SandboxContext> = { initEnd: { status: "success", us: 1 } };
    const badly: Partial<SandboxContext> = { initEnd: { status: "timeout", us: 1 } };
    expect([types(well, "DEBUG"), types(well, "INFO"), types(well, "WARN")]).toEqual([all, all.slice(0, 1), []]);
    expect([types(badly, "INFO"), types(badly, "WARN")]).toEqual([all, all.slice(1)]);
    expect(types({ ...well, job }, "INFO")).toEqual([]);
  });
});

describe("a function's line", () => {
  const warn = { logFormat: "JSON", applicationLogLevel: "WARN" } as const;
  it.each([
    ["of a client's own level", "{}", "ERROR", true],
    ["below the level", "{}", "INFO", false],
    ["that says its level", '{"level":"ERROR","message":"x"}', "NONE", true],
    ["that says it in small letters", ' {"level":"warn"}', "NONE", true],
    ["that says a lower one", '{"level":"debug"}', "NONE", false],
    ["that says one nobody knows, which counts as INFO", '{"level":"loud"}', "NONE", false],
    ["without a level, which counts as INFO", '{"message":"x"}', "NONE", false],
    ["that is no JSON, which counts as INFO", "{ plain", "NONE", false],
    ["that is plain text", "plain", "NONE", false],
  ] as const)("%s is kept or not", (_, text, level, kept) => {
    expect(isKept(warn, text, level)).toBe(kept);
  });

  it("is always kept as text, and counts as INFO where INFO is asked for", () => {
    expect(isKept({ logFormat: "Text" }, "plain", "TRACE")).toBe(true);
    expect(isKept({ logFormat: "JSON" }, "plain", "NONE")).toBe(true);
    expect(isKept({ logFormat: "JSON" }, "{}", "DEBUG")).toBe(false);
    expect(isKept({ logFormat: "JSON", applicationLogLevel: "TRACE" }, "{}", "TRACE")).toBe(true);
  });
});
