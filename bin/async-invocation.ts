/** Invoking asynchronously: an event in the function's queue. What `mayfly invoke --async` does, without its words. */
import { randomUUID } from "node:crypto";
import { UserAsync, UserAsyncQualified } from "../subjects/async.ts";
import { IllegalToken } from "../subjects/contract.ts";
import { Refused } from "../subjects/errors.ts";
import { REQUEST_ID } from "../subjects/headers.ts";
import { qualifierToToken } from "../subjects/tokens.ts";
import { callApi } from "./api.ts";
import { Misused } from "./failure.ts";
import type { Session } from "./session.ts";
import { store } from "./storing.ts";

export interface AsyncInvocation {
  readonly fn: string;
  readonly qualifier: string | undefined;
  readonly payload: Uint8Array;
}

/** Lambda's limit of an asynchronous request. */
const MAX_PAYLOAD_BYTES = 1_048_576;

/**
 * Resolves with the request id once the event is stored. Throws `Refused` for a function that isn't there and a payload
 * that isn't JSON, `Misused`, `NotRunning`.
 */
export async function enqueueEvent(session: Session, { fn, qualifier, payload }: AsyncInvocation): Promise<string> {
  const subject = subjectOf(fn, qualifier);
  if (payload.length > MAX_PAYLOAD_BYTES) {
    const why = `the payload has ${payload.length} bytes, ${MAX_PAYLOAD_BYTES} are allowed`;
    throw new Refused("RequestTooLargeException", why);
  }
  refuseUnlessJson(payload);
  const which = qualifier === undefined ? {} : { Qualifier: qualifier };
  await callApi(session, "GetFunctionConfiguration", { FunctionName: fn, ...which });
  const requestId = randomUUID();
  await store(session, { subject, payload, headers: { [REQUEST_ID]: requestId }, id: requestId });
  return requestId;
}

function subjectOf(fn: string, qualifier: string | undefined): string {
  try {
    if (qualifier === undefined) return UserAsync.subject({ fn });
    return UserAsyncQualified.subject({ fn, qualifier: qualifierToToken(qualifier) });
  } catch (error) {
    if (error instanceof IllegalToken) throw new Misused(`"${fn}" is no function's name`, { cause: error });
    throw error;
  }
}

function refuseUnlessJson(payload: Uint8Array): void {
  if (payload.length === 0) return;
  try {
    JSON.parse(new TextDecoder().decode(payload));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Refused("InvalidRequestContentException", `Could not parse request body into json: ${why}`);
  }
}
