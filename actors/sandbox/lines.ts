/** The lines Lambda's platform writes into a function's log, and the receipt. Source: Lambda developer guide, "Logs". */
import type { Job, SandboxContext } from "./machine.ts";
import type { Outcome } from "./outcome.ts";

const ms = (us: number): string => (us / 1000).toFixed(2);

export const startLine = ({ spec }: SandboxContext, { call }: Job): string =>
  `START RequestId: ${call.requestId} Version: ${spec.version}`;

export const endLine = ({ call }: Job): string => `END RequestId: ${call.requestId}`;

/** Tab-separated, as Lambda writes it. Billed duration is whole milliseconds, init included when the call paid for it. */
export function reportLine(sandbox: SandboxContext, job: Job, outcome: Outcome, runUs: number): string {
  const initUs = job.cold ? sandbox.initUs : 0;
  const fields = [
    `REPORT RequestId: ${job.call.requestId}`,
    `Duration: ${ms(runUs)} ms`,
    `Billed Duration: ${Math.ceil((runUs + initUs) / 1000)} ms`,
    `Memory Size: ${sandbox.spec.memoryMiB} MB`,
    `Max Memory Used: ${outcome.kind === "timeout" ? 0 : outcome.usage.peakMemoryMiB} MB`,
  ];
  if (initUs > 0) fields.push(`Init Duration: ${ms(initUs)} ms`);
  if (outcome.kind === "timeout") fields.push("Status: timeout");
  if (outcome.kind === "error") fields.push("Status: error", `Error Type: ${outcome.error.errorType}`);
  return `${fields.join("\t")}\t`;
}

/** Where the time went, in microseconds. A cold call waits for its sandbox to be made: that time is told once. */
export function receipt(sandbox: SandboxContext, job: Job, runUs: number): string {
  const [createUs, initUs] = job.cold ? [sandbox.createUs, sandbox.initUs] : [0, 0];
  const queuedUs = Math.max(0, job.call.queuedUs - createUs - initUs);
  return `queued=${queuedUs}us; create=${createUs}us; init=${initUs}us; run=${runUs}us`;
}
