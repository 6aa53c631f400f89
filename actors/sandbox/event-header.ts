/** What accompanies a call's payload into the runtime. */
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
    ...(traceId === undefined ? {} : { traceId }),
    ...(clientContext === undefined ? {} : { clientContext: Buffer.from(clientContext, "base64").toString("utf8") }),
  };
}
