/** What an invocation asks of its front end: metadata, and leases. */

import { Enqueue, EnqueueQualified } from "../../subjects/async.ts";
import { type Refusal, Refused, refusal } from "../../subjects/errors.ts";
import { poolId } from "../../subjects/function.ts";
import * as H from "../../subjects/headers.ts";
import { qualifierToToken } from "../../subjects/tokens.ts";
import type { Population } from "../bus/population.ts";
import type { Said } from "../bus/port.ts";
import { QueueFull, type WorkQueues } from "../bus/queues.ts";
import type { Catalogue } from "./catalogue.ts";
import type { leasesMachine } from "./leases/machine.ts";
import { type InvocationContext, type InvocationEvent, invocationMachine, leasesOf } from "./machine.ts";
import { WORKER_GONE } from "./policy.ts";

export interface Desk {
  readonly catalogue: Catalogue;
  readonly leases: Population<typeof leasesMachine>;
  readonly queues: Pick<WorkQueues, "store">;
  readonly frontendId: string;
  readonly tickMs: number;
}

interface Acting {
  readonly context: InvocationContext;
  readonly event: InvocationEvent;
  readonly self: { send(event: InvocationEvent): void };
}

export const invocationLogic = (desk: () => Desk) =>
  invocationMachine.provide({
    actions: {
      look: ({ context: { acct, fn, qualifier }, self }: Acting) => {
        desk()
          .catalogue.look(acct, fn, qualifier)
          .then(
            (spec) => self.send({ type: "metadata.found", spec }),
            (error: unknown) => self.send({ type: "metadata.missing", refusal: reasonOf(error) }),
          );
      },
      arrive: ({ context: { spec, requestId } }: Acting) => {
        if (spec === undefined) return;
        const { leases, frontendId, tickMs } = desk();
        const key = poolId(spec);
        leases.spawn(key, { poolId: key, frontendId, spec, tickMs });
        leases.send(key, { type: "invocation.arrived", requestId });
      },
      leave: ({ context }: Acting) => {
        desk().leases.send(leasesOf(context), { type: "invocation.left", requestId: context.requestId });
      },
      enqueue: ({ context, self }: Acting) => {
        const { event } = context;
        desk()
          .queues.store(eventSaid(context), event?.id === undefined ? {} : { id: event.id })
          .then(
            () => self.send({ type: "event.stored" }),
            (error: unknown) => self.send({ type: "event.notStored", refusal: whyNotStored(error) }),
          );
      },
      finish: ({ context }: Acting) => {
        const { result, sandbox } = context;
        if (result?.errorType === WORKER_GONE && sandbox !== undefined) {
          desk().leases.send(leasesOf(context), { type: "worker.lost", workerId: sandbox.workerId });
        }
        sayFinished(desk(), context, result?.alive ?? false, result?.outcome === "refused");
      },
      abandon: ({ context }: Acting) => sayFinished(desk(), context, false, false),
    },
  });

function sayFinished({ leases }: Desk, context: InvocationContext, alive: boolean, again: boolean): void {
  const { requestId, sandbox } = context;
  if (sandbox === undefined) return;
  leases.send(leasesOf(context), { type: "invocation.finished", requestId, sandbox, alive, again });
}

const reasonOf = (error: unknown) =>
  error instanceof Refused
    ? error.refusal
    : refusal("ServiceException", error instanceof Error ? error.message : String(error));

/** The request id that the caller is told travels with the event: each of its attempts runs under it. */
function eventSaid({ acct, fn, qualifier, requestId, payload, traceId, clientContext }: InvocationContext): Said {
  return {
    subject:
      qualifier === undefined
        ? Enqueue.subject({ acct, fn })
        : EnqueueQualified.subject({ acct, fn, qualifier: qualifierToToken(qualifier) }),
    payload,
    headers: {
      [H.REQUEST_ID]: requestId,
      ...(traceId === undefined ? {} : { [H.TRACE_ID]: traceId }),
      ...(clientContext === undefined ? {} : { [H.CLIENT_CONTEXT]: clientContext }),
    },
  };
}

const whyNotStored = (error: unknown): Refusal =>
  error instanceof QueueFull
    ? refusal("TooManyRequestsException", "the function's queue of events is full", "CallerRateLimitExceeded")
    : refusal(
        "ServiceException",
        `the event was not stored: ${error instanceof Error ? error.message : String(error)}`,
      );
