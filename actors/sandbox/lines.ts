/** The lines Lambda's platform writes into a function's log, and the receipt. Source: Lambda developer guide, "Logs". */
import type { Job, SandboxContext } from "./machine.ts";
import type { Outcome } from "./outcome.ts";

const ms = (us: number): string => (us / 1000).toFixed(2);

export const startLine = ({ spec }: SandboxContext, { call }: Job): string =>
  `START RequestId: ${call.requestId} Version: ${spec.version}`;

export const endLine = ({ call }: Job): string => `END RequestId: ${call.requestId}`;

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
export function reportLine(sandbox: SandboxContext, job: Job, outcome: Outcome, time: Spent): string {
  const initUs = job.bootsAgain ? 0 : time.initUs;
  const memory = outcome.kind === "timeout" ? 0 : outcome.usage.peakMemoryMiB;
  const fields = [
    `REPORT RequestId: ${job.call.requestId}`,
    `Duration: ${ms(time.durationUs)} ms`,
    `Billed Duration: ${Math.ceil((time.durationUs + initUs) / 1000)} ms`,
    `Memory Size: ${sandbox.spec.memoryMiB} MB`,
  ];
  if (memory > 0) fields.push(`Max Memory Used: ${memory} MB`);
  if (initUs > 0) fields.push(`Init Duration: ${ms(initUs)} ms`);
  if (outcome.kind === "timeout") fields.push("Status: timeout");
  if (outcome.kind === "error") fields.push("Status: error", `Error Type: ${outcome.error.errorType}`);
  return `${fields.join("\t")}\t`;
}

/** Where the time went, in microseconds, and where the sandbox came from when it wasn't made for this. */
export const receipt = ({ queuedUs, createUs, initUs, runUs, fromStem }: Spent): string =>
  `queued=${queuedUs}us; create=${createUs}us; init=${initUs}us; run=${runUs}us${fromStem ? "; from=stem-cell" : ""}`;
