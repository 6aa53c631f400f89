/** What is written of an event when it leaves its queue: for another attempt, as a dead letter, as a destination's record. */
import { Due, Waiting } from "../../subjects/async.ts";
import { Dead, UNKNOWN } from "../../subjects/dead.ts";
import { ERRORS } from "../../subjects/errors.ts";
import * as H from "../../subjects/headers.ts";
import { LATEST } from "../../subjects/tokens.ts";
import type { Said } from "../bus/port.ts";
import type { EventContext, EventInput } from "./machine.ts";
import type { Outcome, Verdict } from "./policy.ts";

const decoder = new TextDecoder();
const ERROR_MESSAGE_BYTES = 1024;
const ONE_LINE = /[\r\n]+/g;

type Retry = Extract<Verdict, { kind: "retry" }>;
type Die = Extract<Verdict, { kind: "die" }>;

/** With the server's own schedule where it has them; otherwise it is due at once and says itself that it is too early. */
export function retrySaid(event: EventContext, { at, attempt, setbacks }: Retry, hasSchedules: boolean): Said {
  const { acct, fn, shard, requestId, accepted, payload } = event;
  const address = { acct, fn, shard, requestId, sequence: String(accepted) };
  const due = Due.subject(address);
  const headers = { ...carried(event), [H.ATTEMPT]: String(attempt), [H.SETBACKS]: String(setbacks) };
  if (!hasSchedules) return { subject: due, payload, headers: { ...headers, [H.NOT_BEFORE]: String(at) } };
  return {
    subject: Waiting.subject(address),
    payload,
    headers: { ...headers, [H.SCHEDULE]: `@at ${new Date(at).toISOString()}`, [H.SCHEDULE_TARGET]: due },
  };
}

/** A dead event that was redriven has its request id again, and so may another's: where and when it was accepted is its own. */
export const eventKey = ({ shard, accepted, acceptedAt }: EventInput): string => `${shard}-${accepted}-${acceptedAt}`;

export const retryId = (event: EventContext, { attempt, setbacks }: Retry): string =>
  `${eventKey(event)}-${attempt}-${setbacks}`;

export function deadSaid(event: EventContext, { reason }: Die): Said {
  const { acct, fn, payload, attempt, setbacks, outcome } = event;
  const [errorType, message] = errorOf(outcome, reason);
  return {
    subject: Dead.subject({ acct, fn }),
    payload,
    headers: {
      ...carried(event),
      [H.ATTEMPT]: String(attempt),
      [H.SETBACKS]: String(setbacks),
      [H.DEAD_REASON]: reason,
      [H.ERROR_TYPE]: errorType,
      [H.ERROR_MESSAGE]: message,
    },
  };
}

/** Of an event that no function can be asked to run: `subject` is the one it was stored under. */
export function strayLetter(event: EventInput, subject: string): Said {
  const verdict = { kind: "die", reason: "FunctionNotFound", invokes: 0 } as const;
  const said = deadSaid({ ...event, fn: UNKNOWN, outcome: undefined, verdict }, verdict);
  return { ...said, headers: { ...said.headers, [H.ORIGINAL_SUBJECT]: subject } };
}

function carried(event: EventContext): Record<string, string> {
  const { requestId, acceptedAt, qualifier, traceId, clientContext } = event;
  return {
    [H.REQUEST_ID]: requestId,
    [H.ACCEPTED_AT]: String(acceptedAt),
    ...(qualifier === undefined ? {} : { [H.QUALIFIER]: qualifier }),
    ...(traceId === undefined ? {} : { [H.TRACE_ID]: traceId }),
    ...(clientContext === undefined ? {} : { [H.CLIENT_CONTEXT]: clientContext }),
  };
}

/** Type and the first kilobyte of the message, fit for a header. */
function errorOf(outcome: Outcome | undefined, reason: string): [string, string] {
  if (outcome === undefined || outcome.kind === "ok") return [reason, ""];
  const type = outcome.kind === "refused" ? outcome.name : outcome.errorType;
  const message = outcome.kind === "refused" ? outcome.message : outcome.errorMessage;
  const cut = Buffer.from(message.replaceAll(ONE_LINE, " ")).subarray(0, ERROR_MESSAGE_BYTES);
  return [type.replaceAll(ONE_LINE, " "), decoder.decode(cut)];
}

/** The message attributes of a function's own dead letters. Source: Lambda developer guide, dead-letter queues. */
export function attributes(event: EventContext): Record<string, string> {
  const { outcome, requestId } = event;
  const code =
    outcome?.kind === "refused" ? outcome.code : outcome === undefined ? ERRORS.TooManyRequestsException : 200;
  return { RequestID: requestId, ErrorCode: String(code), ErrorMessage: errorOf(outcome, "")[1] };
}

/** The record of an event's end. Source: Lambda developer guide, "Capturing records of Lambda asynchronous invocations". */
export function record(event: EventContext, region: string, at: number): object {
  const { acct, fn, qualifier = LATEST, requestId, payload, outcome, verdict, attempt } = event;
  const hasRun = outcome !== undefined && outcome.kind !== "refused";
  return {
    version: "1.0",
    timestamp: new Date(at).toISOString(),
    requestContext: {
      requestId,
      functionArn: `arn:aws:lambda:${region}:${acct}:function:${fn}:${qualifier}`,
      condition: verdict?.kind === "die" ? verdict.reason : "Success",
      approximateInvokeCount: verdict?.kind === "die" ? verdict.invokes : attempt,
    },
    requestPayload: jsonOrText(payload),
    ...(hasRun
      ? {
          responseContext: {
            statusCode: 200,
            executedVersion: outcome.executedVersion,
            ...(outcome.kind === "functionError" ? { functionError: "Unhandled" } : {}),
          },
          responsePayload: jsonOrText(outcome.payload),
        }
      : {}),
  };
}

function jsonOrText(bytes: Uint8Array): unknown {
  const text = decoder.decode(bytes);
  try {
    return text === "" ? {} : JSON.parse(text);
  } catch {
    return text;
  }
}
