/** What a message out of a queue says of its event. */
import { Due, Queued, QueuedQualified } from "../../subjects/async.ts";
import { isToken } from "../../subjects/contract.ts";
import * as H from "../../subjects/headers.ts";
import { RETRY_STREAM } from "../../subjects/streams.ts";
import { tokenToQualifier } from "../../subjects/tokens.ts";
import { deterministicId } from "../bus/identity.ts";
import type { Kept, Taken } from "../bus/queues.ts";
import type { EventInput } from "./machine.ts";

const LONGEST_ID = 128;

export function eventFrom(message: Kept): EventInput {
  return message.stream === RETRY_STREAM ? againFrom(message) : freshFrom(message);
}

/** Of what only we have written: it says itself how far it is. */
function againFrom(message: Kept): EventInput {
  const { acct, fn, shard, requestId, sequence } = Due.address(message.subject);
  return {
    ...common(message),
    requestId,
    acct,
    fn,
    shard,
    accepted: Number(sequence),
    qualifier: message.header(H.QUALIFIER),
    attempt: numberIn(message, H.ATTEMPT) ?? 1,
    setbacks: numberIn(message, H.SETBACKS) ?? 0,
    acceptedAt: numberIn(message, H.ACCEPTED_AT) ?? message.storedAt,
  };
}

/** Anybody may have written it: of its headers only those of an invoke count. */
function freshFrom(message: Kept): EventInput {
  const { subject, stream, sequence, storedAt } = message;
  const { acct, fn, shard } = Queued.address(subject);
  const { qualifier } = QueuedQualified.address(subject);
  const given = message.header(H.REQUEST_ID);
  const isUsable = given !== undefined && isToken(given) && given.length <= LONGEST_ID;
  return {
    ...common(message),
    requestId: isUsable ? given : deterministicId(`${stream} ${sequence} ${storedAt}`),
    acct,
    fn,
    shard,
    accepted: sequence,
    qualifier: qualifier === "" ? undefined : tokenToQualifier(qualifier),
    attempt: 1,
    setbacks: 0,
    acceptedAt: storedAt,
  };
}

const common = (message: Kept) => ({
  payload: message.data,
  traceId: message.header(H.TRACE_ID),
  clientContext: message.header(H.CLIENT_CONTEXT),
  stream: message.stream,
  sequence: message.sequence,
});

/** How long it must still wait, where the server can't keep it back itself. */
export function earlyMs(message: Taken, now: number): number {
  const notBefore = message.stream === RETRY_STREAM ? numberIn(message, H.NOT_BEFORE) : undefined;
  return notBefore === undefined ? 0 : Math.max(0, notBefore - now);
}

function numberIn(message: Kept, header: string): number | undefined {
  const value = Number(message.header(header) ?? Number.NaN);
  return Number.isFinite(value) ? value : undefined;
}
