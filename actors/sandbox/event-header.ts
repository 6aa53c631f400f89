/** What accompanies a call's payload into the runtime. */
import { randomUUID } from "node:crypto";
import type { Call } from "../../subjects/worker.ts";
import type { EventHeader } from "./frames.ts";

/** `deadlineMs` is epoch ms. */
export function eventHeader(
  { requestId, arn, traceId, clientContext, streams }: Call,
  deadlineMs: number,
): EventHeader {
  return {
    requestId,
    deadlineMs,
    invokedFunctionArn: arn,
    ...(streams ? { streams } : {}),
    traceId: traceId ?? unsampledTrace(Date.now()),
    ...(clientContext === undefined ? {} : { clientContext: Buffer.from(clientContext, "base64").toString("utf8") }),
  };
}

/** As Lambda, of a call that comes without a trace: one that nobody records. X-Ray's SDK complains where there is none. */
function unsampledTrace(at: number): string {
  const digits = randomUUID().replaceAll("-", "");
  const seconds = Math.trunc(at / 1000).toString(16);
  return `Root=1-${seconds}-${digits.slice(0, 24)};Parent=${digits.slice(16)};Sampled=0`;
}
