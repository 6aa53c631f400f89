/** The lines Lambda's platform writes into a function's log, and the receipt. Source: Lambda developer guide, "Logs". */
import { type PlatformEvent, platformLines } from "./log-format.ts";
import type { Job, SandboxContext, SandboxInput } from "./machine.ts";
import type { InitEnd, Outcome } from "./outcome.ts";

const ms = (us: number): string => (us / 1000).toFixed(2);
const MIB = 1024 * 1024;
const PLATFORM_ERROR = /^(Runtime|Function|Extension|Sandbox)\.[A-Z][a-zA-Z]+$/;
/** A type that a function made up is none of Lambda's; the caller gets the error as it is. */
const toldType = (errorType: string): string => {
  if (PLATFORM_ERROR.test(errorType)) return errorType;
  return errorType.startsWith("Function.") ? "Function.Unknown" : "Runtime.Unknown";
};
/** For JSON: milliseconds to the microsecond. */
const msNumber = (us: number): number => Math.round(us) / 1000;

/** What is written when an init begins. As text a repeated one isn't told of: it is part of its invocation. */
export function initOpeningLines({ spec, job, bootedAt, runtimeVersion }: SandboxContext): string[] {
  if (spec.logFormat === "Text") return job === null ? [`INIT_START Runtime Version: ${runtimeVersion}`] : [];
  const record = {
    ...initKind(job),
    runtimeVersion,
    functionName: spec.fn,
    functionVersion: spec.version,
    instanceMaxMemory: spec.memoryMiB * MIB,
  };
  const level = job === null ? "INFO" : "DEBUG";
  return platformLines(spec, [{ type: "platform.initStart", level, at: bootedAt, record }]);
}

/** What is written when it has ended: as text only of one that failed, as Lambda does it for functions on demand. */
export function initClosingLines({ spec, job, bootedAt, initEnd }: SandboxContext): string[] {
  if (initEnd === null || initEnd.status === "stopped") return [];
  const { phase } = initKind(job);
  const end = initStatus(initEnd);
  if (spec.logFormat === "Text") {
    if (end.status === "success") return [];
    const fields = [`INIT_REPORT Init Duration: ${ms(initEnd.us)} ms`, `Phase: ${phase}`, `Status: ${end.status}`];
    if (end.errorType !== undefined) fields.push(`Error Type: ${end.errorType}`);
    return [fields.join("\t")];
  }
  const level = end.status === "success" ? "DEBUG" : "WARN";
  const at = bootedAt + initEnd.us / 1000;
  const record = { ...initKind(job), ...end };
  return platformLines(spec, [
    { type: "platform.initRuntimeDone", level, at, record },
    {
      type: "platform.initReport",
      level,
      at,
      record: { ...record, metrics: { durationMs: msNumber(initEnd.us) } },
    },
  ]);
}

const initKind = (job: Job | null) => ({
  initializationType: "on-demand",
  phase: job === null ? ("init" as const) : ("invoke" as const),
});

function initStatus(end: InitEnd): { status: string; errorType?: string } {
  if (end.status !== "error") return { status: end.status };
  return { status: end.status, errorType: toldType(end.errorType) };
}

/** What is written when an invocation begins. */
export function openingLines({ spec }: SandboxContext, { call, startedAt }: Job): string[] {
  const { version } = spec;
  if (spec.logFormat === "Text") return [`START RequestId: ${call.requestId} Version: ${version}`];
  return platformLines(spec, [
    { type: "platform.start", level: "INFO", at: startedAt, record: { requestId: call.requestId, version } },
  ]);
}

/** What is written when it has ended, by the message. */
export function closingLines(sandbox: SandboxContext, job: Job, outcome: Outcome, time: Spent): string[] {
  const { requestId } = job.call;
  if (sandbox.spec.logFormat === "Text")
    return [`END RequestId: ${requestId}\n${reportLine(sandbox, job, outcome, time)}`];
  const at = job.startedAt + time.durationUs / 1000;
  const level = outcome.kind === "ok" ? "INFO" : "WARN";
  const common = { requestId, ...statusOf(outcome) };
  const done: PlatformEvent = {
    type: "platform.runtimeDone",
    level: outcome.kind === "ok" ? "DEBUG" : "WARN",
    at,
    record: {
      ...common,
      metrics: {
        durationMs: msNumber(time.durationUs),
        ...(outcome.kind === "ok" ? { producedBytes: outcome.payload.length } : {}),
      },
    },
  };
  const { memoryMiB, billedMs, memoryUsedMiB, initUs } = reported(sandbox, job, outcome, time);
  const metrics = {
    durationMs: msNumber(time.durationUs),
    billedDurationMs: billedMs,
    memorySizeMB: memoryMiB,
    ...(memoryUsedMiB > 0 ? { maxMemoryUsedMB: memoryUsedMiB } : {}),
    ...(initUs > 0 ? { initDurationMs: msNumber(initUs) } : {}),
  };
  return platformLines(sandbox.spec, [done, { type: "platform.report", level, at, record: { ...common, metrics } }]);
}

/** What is written in place of output that was too much; `at` is epoch ms. */
export function droppedLines(
  { spec }: SandboxInput,
  { lines, bytes }: { readonly lines: number; readonly bytes: number },
  at: number,
): string[] {
  const reason = "more output than is kept";
  if (spec.logFormat === "Text") return [`LOGS_DROPPED ${lines} lines (${bytes} bytes): ${reason}`];
  const record = { droppedRecords: lines, droppedBytes: bytes, reason };
  return platformLines(spec, [{ type: "platform.logsDropped", level: "WARN", at, record }]);
}

/** Where an invocation's time went, each part told once. */
export interface Spent {
  readonly queuedUs: number;
  readonly createUs: number;
  readonly initUs: number;
  readonly runUs: number;
  /** From delivery to answer: what Lambda calls the duration, a repeated init included. */
  readonly durationUs: number;
  /** It was cold, and its sandbox had been booted beforehand. */
  readonly fromStem: boolean;
}

export function spent(sandbox: SandboxContext, { call, cold, bootsAgain }: Job, durationUs: number): Spent {
  const [createUs, initUs] = cold ? [sandbox.createUs, sandbox.initUs] : [0, 0];
  const making = createUs + initUs;
  const fromStem = cold && sandbox.fromStem;
  return bootsAgain
    ? { queuedUs: call.queuedUs, createUs, initUs, runUs: Math.max(0, durationUs - making), durationUs, fromStem }
    : { queuedUs: Math.max(0, call.queuedUs - making), createUs, initUs, runUs: durationUs, durationUs, fromStem };
}

/**
 * Tab-separated, as Lambda writes it. Billed is what the caller paid for in whole milliseconds, the first init included; a
 * repeated one is part of the duration and not told apart. What nobody measured is left out.
 */
function reportLine(sandbox: SandboxContext, job: Job, outcome: Outcome, time: Spent): string {
  const { memoryMiB, billedMs, memoryUsedMiB, initUs } = reported(sandbox, job, outcome, time);
  const fields = [
    `REPORT RequestId: ${job.call.requestId}`,
    `Duration: ${ms(time.durationUs)} ms`,
    `Billed Duration: ${billedMs} ms`,
    `Memory Size: ${memoryMiB} MB`,
  ];
  if (memoryUsedMiB > 0) fields.push(`Max Memory Used: ${memoryUsedMiB} MB`);
  if (initUs > 0) fields.push(`Init Duration: ${ms(initUs)} ms`);
  if (outcome.kind === "timeout") fields.push("Status: timeout");
  if (outcome.kind === "error" || outcome.kind === "lost")
    fields.push("Status: error", `Error Type: ${toldType(outcome.error.errorType)}`);
  return `${fields.join("\t")}\t`;
}

/** `initUs` and `memoryUsedMiB` are 0 where there is nothing to tell. */
function reported({ spec }: SandboxContext, { bootsAgain }: Job, outcome: Outcome, time: Spent) {
  const initUs = bootsAgain ? 0 : time.initUs;
  return {
    initUs,
    memoryMiB: spec.memoryMiB,
    billedMs: Math.ceil((time.durationUs + initUs) / 1000),
    memoryUsedMiB: outcome.kind === "timeout" ? 0 : outcome.usage.peakMemoryMiB,
  };
}

/** `failure` is the process's, `error` the function's own. */
const PROCESS_FAILURES: ReadonlySet<string> = new Set(["Runtime.ExitError", "Runtime.OutOfMemory"]);

function statusOf(outcome: Outcome): { status: string; errorType?: string } {
  if (outcome.kind === "ok") return { status: "success" };
  if (outcome.kind === "timeout") return { status: "timeout" };
  const errorType = toldType(outcome.error.errorType);
  return { status: PROCESS_FAILURES.has(errorType) ? "failure" : "error", errorType };
}

/** Where the time went, in microseconds, and where the sandbox came from when it wasn't made for this. */
export const receipt = ({ queuedUs, createUs, initUs, runUs, fromStem }: Spent): string =>
  `queued=${queuedUs}us; create=${createUs}us; init=${initUs}us; run=${runUs}us${fromStem ? "; from=stem-cell" : ""}`;
