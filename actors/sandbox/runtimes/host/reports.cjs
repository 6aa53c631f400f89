/**
 * What the platform tells of one life in Lambda's telemetry events. Costs next to nothing while nobody has subscribed.
 * Times are measured here; memory is what all processes of this sandbox have resident, read only for those who listen.
 */
"use strict";

const { readFileSync, readdirSync } = require("node:fs");
const { performance } = require("node:perf_hooks");

const pageBytes = 4096;
const mebibyte = 1024 * 1024;
const round = (ms) => Math.round(ms * 1000) / 1000;

class Reports {
  #telemetry;
  #init;
  #began = performance.now();
  /** How the runtime's init ended, `{status, errorType}`, and why the sandbox's failed all the same. */
  #initEnd = null;
  #initFailure = null;
  #initMs = 0;
  #peakMiB = 0;
  #invocations = 0;
  /** `{header, began, startedAt, answered, bytes, errorType, status, done}`; milliseconds by `performance.now()`. */
  #invocation = null;

  constructor(telemetry, init) {
    this.#telemetry = telemetry;
    this.#init = init;
  }

  initStart() {
    const { env, functionName, functionVersion, memoryMiB, runtime, runtimeVersion = runtime } = this.#init;
    this.#tell("initStart", {
      ...this.#initKind(),
      runtimeVersion,
      functionName,
      functionVersion,
      instanceId: env.AWS_LAMBDA_LOG_STREAM_NAME ?? "",
      instanceMaxMemory: memoryMiB * mebibyte,
    });
  }

  initRuntimeDone(errorType) {
    this.#runtimeInitEnded(statusOf(errorType));
  }

  initReport(extensions) {
    for (const { name, state, subscribed, errorType } of extensions) {
      this.#tell("extension", { name, state, events: subscribed, ...(errorType ? { errorType } : {}) });
    }
    this.#reportInit(statusOf(null));
  }

  start(header) {
    this.#invocations += 1;
    const now = performance.now();
    this.#invocation = { header, began: now, answered: null, bytes: 0, errorType: null, status: null, done: null };
    this.#tell("start", { requestId: header.requestId, version: this.#init.functionVersion, ...tracing(header) });
  }

  /** Some of the response, before its end. */
  streamed(bytes) {
    if (this.#invocation) this.#invocation.bytes += bytes;
  }

  answered(errorType, bytes) {
    this.streamed(bytes);
    Object.assign(this.#invocation ?? {}, { answered: performance.now(), errorType });
  }

  /** The runtime has asked for the next event. */
  runtimeDone() {
    const run = this.#invocation;
    if (!run || run.done !== null) return;
    run.done = performance.now();
    if (!this.#telemetry.isHeard) return;
    const { requestId } = run.header;
    const metrics = { durationMs: round(run.done - run.began), producedBytes: run.bytes };
    this.#tell("runtimeDone", { requestId, ...this.#status(run), metrics, spans: spans(run), ...tracing(run.header) });
  }

  /** Nothing of the invocation is left. */
  report() {
    const run = this.#invocation;
    if (!run) return;
    this.#invocation = null;
    if (!this.#telemetry.isHeard) return;
    const durationMs = performance.now() - run.began;
    const initMs = this.#invocations === 1 && this.#init.phase !== "invoke" ? this.#initMs : 0;
    this.#peakMiB = Math.max(this.#peakMiB, residentMiB());
    const metrics = {
      durationMs: round(durationMs),
      billedDurationMs: Math.ceil(durationMs + initMs),
      memorySizeMB: this.#init.memoryMiB,
      maxMemoryUsedMB: this.#peakMiB,
      ...(initMs > 0 ? { initDurationMs: round(initMs) } : {}),
    };
    this.#tell("report", { requestId: run.header.requestId, ...this.#status(run), metrics, ...tracing(run.header) });
  }

  /** The sandbox has failed, whatever was going on. */
  failed(errorType) {
    if (this.#invocation) this.#invocation.errorType ??= errorType;
    else {
      this.#initFailure ??= statusOf(errorType);
      this.#runtimeInitEnded(this.#initFailure);
    }
  }

  /** The sandbox ends; what was under way ends with it. */
  cutShort(reason) {
    if (this.#initMs === 0) return this.#cutInitShort(reason);
    const run = this.#invocation;
    if (!run) return;
    if (reason === "timeout") Object.assign(run, { status: "timeout", errorType: null });
    else if (run.errorType?.startsWith("Extension.")) run.status = "failure";
    this.runtimeDone();
    this.report();
    this.#fault(run.header.requestId, this.#status(run));
  }

  #cutInitShort(reason) {
    if (reason === "spindown") return;
    if (reason === "timeout") this.#initFailure = { status: "timeout" };
    this.#runtimeInitEnded(this.#initFailure ?? statusOf("Runtime.Unknown"));
    this.#reportInit(this.#initFailure ?? this.#initEnd);
    if (this.#init.requestId) this.#fault(this.#init.requestId, this.#initFailure ?? this.#initEnd);
  }

  /** Of the sandbox, not of the function's own code: a text, with a request's id in it. */
  #fault(requestId, { status, errorType }) {
    const how = status === "timeout" ? "timeout" : `error\tErrorType: ${errorType}`;
    this.#tell("fault", `RequestId: ${requestId} Status: ${how}`);
  }

  #runtimeInitEnded(end) {
    if (this.#initEnd) return;
    this.#initEnd = end;
    this.#tell("initRuntimeDone", { ...this.#initKind(), ...end });
  }

  #reportInit(end) {
    this.#initMs = performance.now() - this.#began;
    this.#tell("initReport", { ...this.#initKind(), ...end, metrics: { durationMs: round(this.#initMs) } });
  }

  #status({ status, errorType }) {
    return { ...statusOf(errorType), ...(status ? { status } : {}) };
  }

  #initKind() {
    const { env, phase = "init" } = this.#init;
    return { initializationType: env.AWS_LAMBDA_INITIALIZATION_TYPE ?? "on-demand", phase };
  }

  #tell(type, record) {
    this.#telemetry.platform(type, record);
  }
}

function statusOf(errorType) {
  return errorType ? { status: "error", errorType } : { status: "success" };
}

/** Answers are whole here when they are looked at: sending them takes no time of its own. */
function spans({ began, answered, done }) {
  if (answered === null) return [];
  const span = (name, from, to) => {
    return { name, start: new Date(performance.timeOrigin + from).toISOString(), durationMs: round(to - from) };
  };
  return [
    span("responseLatency", began, answered),
    span("responseDuration", answered, answered),
    span("runtimeOverhead", answered, done),
  ];
}

function tracing({ traceId }) {
  return traceId ? { tracing: { type: "X-Amzn-Trace-Id", value: traceId } } : {};
}

function residentMiB() {
  let pages = 0;
  for (const pid of readdirSync("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      pages += Number(readFileSync(`/proc/${pid}/statm`, "latin1").split(" ")[1]);
    } catch {
      // It has just ended.
    }
  }
  return Math.ceil((pages * pageBytes) / mebibyte);
}

module.exports = { Reports };
