/** An invocation's relation to the network: it begins with a caller's message and ends with the worker's word. */
import { EventCall, MAX_EVENT_BYTES, RunEvent } from "../../subjects/async.ts";
import type { Refusal } from "../../subjects/errors.ts";
import * as H from "../../subjects/headers.ts";
import { Invoke, InvokeQualified, MAX_PAYLOAD_BYTES } from "../../subjects/invoke.ts";
import { WorkerLost } from "../../subjects/placement.ts";
import { RESPONSE_STREAM } from "../../subjects/response-stream.ts";
import { tokenToQualifier } from "../../subjects/tokens.ts";
import { type Call, Finished, InvokeSandbox } from "../../subjects/worker.ts";
import { deterministicId } from "../bus/identity.ts";
import type { Clock, Said } from "../bus/port.ts";
import { type Delivery, hear, hearRaw, type Wiring } from "../bus/wiring.ts";
import type { InvocationContext, InvocationEvent, invocationMachine } from "./machine.ts";
import { checkClientContext, checkInvocationType, checkPayload, WORKER_GONE } from "./policy.ts";

type Request = Extract<InvocationEvent, { type: "invocation.requested" }>["request"];

/** The worker isn't there any more, or not yet again: nothing has run. */
const NOBODY: Finished = {
  sandboxId: "nobody",
  outcome: "refused",
  errorType: WORKER_GONE,
  cold: false,
  createUs: 0,
  initUs: 0,
  runUs: 0,
  alive: false,
};

export interface FrontendWiring {
  readonly frontendId: string;
  /** Tenants whose stamped subjects this front end answers. */
  readonly accounts: readonly string[];
  readonly clock: Clock;
  readonly requestId: () => string;
}

export function invocationWiring(options: FrontendWiring): Wiring<typeof invocationMachine> {
  const { frontendId, accounts, clock, requestId } = options;
  const birth = {
    queue: "frontend",
    absent: "birth" as const,
    // The request id of an event for later is the event's, which may run here at the same moment.
    key: (_: unknown, __: Delivery, event: InvocationEvent) => {
      const { request } = event as { request: Request };
      return request.event === undefined ? request.requestId : requestId();
    },
    toEvent: (_: unknown, delivery: Delivery): InvocationEvent => ({
      type: "invocation.requested",
      request: requestOf(delivery, requestId),
    }),
  };
  const event = {
    ...birth,
    toEvent: (_: unknown, delivery: Delivery): InvocationEvent => ({
      type: "invocation.requested",
      request: eventOf(delivery),
    }),
  };
  return {
    hears: [
      ...accounts.flatMap((acct) => [
        hearRaw(Invoke, { ...birth, at: { acct }, endpoint: "invoke" }),
        hearRaw(InvokeQualified, { ...birth, at: { acct }, endpoint: "invoke-qualified" }),
        hearRaw(RunEvent, { ...event, at: { acct }, endpoint: "run-event" }),
      ]),
      hear(Finished, {
        at: { frontendId },
        key: (_, { address }) => address.requestId,
        nobody: NOBODY,
        toEvent: (result) => ({ type: "worker.finished", result }),
      }),
      hear(WorkerLost, { toEvent: ({ workerId }) => ({ type: "worker.lost", workerId }) }),
    ],
    says: { invoke: ({ invocation }) => invokeSaid(invocation, frontendId, clock.us()) },
  };
}

/** What a caller's message asks for. */
function requestOf({ address, message, replyTo, us }: Delivery, newId: () => string): Request {
  const qualifier = address.qualifier === undefined ? undefined : tokenToQualifier(address.qualifier);
  const invocationType = message.header(H.INVOCATION_TYPE) ?? "RequestResponse";
  const clientContext = message.header(H.CLIENT_CONTEXT);
  const isEvent = invocationType === "Event";
  const eventId = isEvent ? message.header(H.MESSAGE_ID) : undefined;
  return {
    requestId: eventId === undefined ? newId() : idOf(message.subject, eventId),
    acct: address.acct ?? "",
    fn: address.fn ?? "",
    qualifier,
    replyTo,
    payload: message.data,
    arrivedUs: us,
    traceId: message.header(H.TRACE_ID),
    clientContext,
    tail: message.header(H.LOG_TYPE) === "Tail",
    dryRun: invocationType === "DryRun",
    streams: invocationType === RESPONSE_STREAM,
    acknowledges: invocationType === RESPONSE_STREAM && message.header(H.FLOW_CONTROL) === "true",
    event: isEvent ? { id: eventId } : undefined,
    refused: wrong(message.data, invocationType, clientContext),
  };
}

/** What a poller or a trigger wants run under an id of its own. Throws what the bus answers as `RequestMalformed`. */
function eventOf({ address, message, replyTo, us }: Delivery): Request {
  const { requestId, qualifier, traceId, clientContext } = EventCall.parse(
    JSON.parse(message.header(H.EVENT_CALL) ?? "{}"),
  );
  return {
    requestId,
    acct: address.acct ?? "",
    fn: address.fn ?? "",
    qualifier,
    replyTo,
    payload: message.data,
    arrivedUs: us,
    traceId,
    clientContext,
    tail: false,
    dryRun: false,
    streams: false,
    acknowledges: false,
    event: undefined,
    refused: wrong(message.data, "RequestResponse", clientContext),
  };
}

/** An event that is sent again, because its first answer was lost, is told the same id: it was stored once. */
function idOf(subject: string, eventId: string): string {
  return deterministicId(`${subject} ${eventId}`);
}

const wrong = (payload: Uint8Array, invocationType: string, clientContext: string | undefined): Refusal | undefined =>
  checkInvocationType(invocationType) ??
  checkPayload(payload, invocationType === "Event" ? MAX_EVENT_BYTES : MAX_PAYLOAD_BYTES) ??
  (clientContext === undefined ? undefined : checkClientContext(clientContext));

function invokeSaid(invocation: InvocationContext, frontendId: string, nowUs: number): Said | undefined {
  const { sandbox, spec, requestId, replyTo, traceId, clientContext, tail, qualifier } = invocation;
  if (sandbox === undefined || spec === undefined) return undefined;
  const call: Call = {
    requestId,
    frontendId,
    arn: qualifier === undefined ? spec.arn : `${spec.arn.split(":").slice(0, 7).join(":")}:${qualifier}`,
    queuedUs: Math.round(nowUs - invocation.arrivedUs),
    tail,
    ...(replyTo === undefined ? {} : { replyTo }),
    ...(invocation.streams ? { streams: true } : {}),
    ...(invocation.acknowledges ? { acknowledges: true } : {}),
    ...(traceId === undefined ? {} : { traceId }),
    ...(clientContext === undefined ? {} : { clientContext }),
  };
  return {
    subject: InvokeSandbox.subject({ workerId: sandbox.workerId, sandboxId: sandbox.sandboxId }),
    payload: invocation.payload,
    headers: { [H.CALL]: JSON.stringify(call) },
    replyTo: Finished.subject({ frontendId, requestId }),
  };
}
