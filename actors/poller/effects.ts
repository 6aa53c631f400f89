/** What an event asks of its poller: a front end's run, storing what follows, telling destinations, its message. */
import { type EventCall, MAX_EVENT_BYTES, RunEvent } from "../../subjects/async.ts";
import { ERRORS } from "../../subjects/errors.ts";
import * as H from "../../subjects/headers.ts";
import { DEAD_STREAM, RETRY_STREAM } from "../../subjects/streams.ts";
import type { Component } from "../bus/component.ts";
import type { Message } from "../bus/port.ts";
import type { Taken, WorkQueues } from "../bus/queues.ts";
import { refusalOf } from "../bus/replies.ts";
import { deliver } from "./destination.ts";
import { attributes, deadSaid, eventKey, record, retryId, retrySaid } from "./letters.ts";
import { type EventContext, eventMachine, type QueuedEvent } from "./machine.ts";
import type { Outcome } from "./policy.ts";
import type { Settings } from "./settings.ts";

export interface PollerDesk {
  readonly component: Component;
  readonly queues: WorkQueues;
  readonly settings: Settings;
  readonly region: string;
  /** The server keeps back what is not due yet. */
  readonly hasSchedules: boolean;
  /** What a run may take beside the function's own time. */
  readonly overheadMs: number;
  /** The message of an event that is in hand, by request id. */
  message(requestId: string): Taken | undefined;
  /** A destination could not be told. */
  undelivered(event: EventContext): void;
}

interface Acting {
  readonly context: EventContext;
  readonly self: { send(event: QueuedEvent): void };
}

/** Source: Lambda quotas, "Function timeout". */
const LONGEST_TIMEOUT_MS = 900_000;
const NO_ANSWER = 504;

export const eventLogic = (desk: PollerDesk) => {
  const storing = (store: Promise<unknown>, self: Acting["self"]) =>
    store.then(
      () => self.send({ type: "stored" }),
      (error: unknown) => self.send({ type: "notStored", why: inWords(error) }),
    );
  return eventMachine.provide({
    actions: {
      run: ({ context, self }: Acting) => {
        const { acct, fn, qualifier } = context;
        void run(desk, context).then((outcome) => {
          const rules = desk.settings.rules(acct, fn, qualifier);
          self.send({ type: "run.ended", outcome, at: desk.component.clock.now(), rules });
        });
      },
      succeed: ({ context, self }: Acting) => void storing(tellSuccess(desk, context), self),
      defer: ({ context, self }: Acting) => {
        const { verdict } = context;
        if (verdict?.kind !== "retry") return;
        const said = retrySaid(context, verdict, desk.hasSchedules);
        void storing(desk.queues.store(said, { id: retryId(context, verdict), stream: RETRY_STREAM }), self);
      },
      bury: ({ context, self }: Acting) => void storing(bury(desk, context), self),
      acknowledge: ({ context }: Acting) => desk.message(context.requestId)?.done(),
      giveBack: ({ context }: Acting) => desk.message(context.requestId)?.giveBack(),
      keep: ({ context }: Acting) => desk.message(context.requestId)?.keep(),
    },
  });
};

async function run({ component, settings, overheadMs }: PollerDesk, event: EventContext): Promise<Outcome> {
  const { acct, fn, qualifier, requestId, attempt, payload, traceId, clientContext } = event;
  // A plain publish is checked by nobody before it is stored.
  if (payload.length > MAX_EVENT_BYTES) {
    const message = `Event must be smaller than ${MAX_EVENT_BYTES} bytes`;
    return { kind: "refused", code: ERRORS.RequestTooLargeException, name: "RequestTooLargeException", message };
  }
  const call: EventCall = {
    requestId,
    attempt,
    ...(qualifier === undefined ? {} : { qualifier }),
    ...(traceId === undefined ? {} : { traceId }),
    ...(clientContext === undefined ? {} : { clientContext }),
  };
  const request = {
    subject: RunEvent.subject({ acct, fn }),
    payload,
    headers: { [H.EVENT_CALL]: JSON.stringify(call) },
  };
  const limitMs = (settings.timeoutMs(acct, fn, qualifier) ?? LONGEST_TIMEOUT_MS) + overheadMs;
  try {
    return outcomeOf(await component.network.request(request, limitMs));
  } catch (error) {
    return { kind: "refused", code: NO_ANSWER, name: "NoAnswer", message: inWords(error) };
  }
}

export function outcomeOf(reply: Message): Outcome {
  const refused = refusalOf(reply);
  if (refused !== undefined) {
    return { kind: "refused", code: ERRORS[refused.name], name: refused.name, message: refused.message };
  }
  const executedVersion = reply.header(H.EXECUTED_VERSION) ?? "";
  const payload = reply.data;
  const functionError = reply.header(H.FUNCTION_ERROR);
  if (functionError === undefined) return { kind: "ok", payload, executedVersion };
  const { errorType = functionError, errorMessage = "" } = errorIn(payload);
  return { kind: "functionError", payload, executedVersion, errorType, errorMessage };
}

function errorIn(payload: Uint8Array): { errorType?: string; errorMessage?: string } {
  try {
    const body: unknown = JSON.parse(new TextDecoder().decode(payload));
    if (typeof body !== "object" || body === null) return {};
    return {
      ...("errorType" in body ? { errorType: String(body.errorType) } : {}),
      ...("errorMessage" in body ? { errorMessage: String(body.errorMessage) } : {}),
    };
  } catch {
    return {};
  }
}

async function tellSuccess(desk: PollerDesk, event: EventContext): Promise<void> {
  const { onSuccess } = desk.settings.destinations(event.acct, event.fn, event.qualifier);
  if (onSuccess !== undefined) await tellRecord(desk, event, onSuccess);
}

/** The dead letter is stored first: what can't be told then is at least not lost. */
async function bury(desk: PollerDesk, event: EventContext): Promise<void> {
  const { verdict, acct, fn, qualifier } = event;
  if (verdict?.kind !== "die") return;
  await desk.queues.store(deadSaid(event, verdict), {
    id: `dead-${eventKey(event)}`,
    stream: DEAD_STREAM,
  });
  const { onFailure, deadLetters } = desk.settings.destinations(acct, fn, qualifier);
  if (onFailure !== undefined) await tellRecord(desk, event, onFailure);
  if (deadLetters !== undefined) {
    await tell(desk, event, { to: deadLetters, payload: event.payload, headers: attributes(event), id: "letter" });
  }
}

const tellRecord = (desk: PollerDesk, event: EventContext, to: string): Promise<void> =>
  tell(desk, event, {
    to,
    payload: JSON.stringify(record(event, desk.region, desk.component.clock.now())),
    headers: {},
    id: "record",
  });

async function tell(
  desk: PollerDesk,
  event: EventContext,
  letter: { to: string; payload: string | Uint8Array; headers: Record<string, string>; id: string },
): Promise<void> {
  const { acct, fn, requestId } = event;
  const addressed = { ...letter, acct, id: `${letter.id}-${eventKey(event)}-${event.attempt}` };
  await deliver(addressed, desk.component.network, desk.queues).catch((error: unknown) => {
    desk.undelivered(event);
    desk.component.log.warn({ acct, fn, requestId, to: letter.to, why: inWords(error) }, "destination not told");
  });
}

const inWords = (error: unknown): string => (error instanceof Error ? error.message : String(error));
