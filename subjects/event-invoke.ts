/**
 * How a function's asynchronous events are handled: per qualifier as in the Lambda API, and what is Mayfly's own.
 * Source: Lambda API reference, PutFunctionEventInvokeConfig.
 */
import { z } from "zod";
import { isOwnStream, isOwnSubject } from "./places.ts";

/**
 * Where a record of an event's end goes, written as an ARN:
 *   arn:aws:lambda:<region>:<acct>:function:<fn>[:<qualifier>]   invoked asynchronously
 *   arn:aws:nats:::subject/<subject>                             published, for whoever listens
 *   arn:aws:nats:::stream/<STREAM>/<subject>                     published, and acknowledged by that stream
 */
export const Destination = z.object({ Destination: z.string().optional() });

export type DestinationTarget =
  | { readonly kind: "function"; readonly acct: string; readonly fn: string; readonly qualifier?: string }
  | { readonly kind: "subject"; readonly subject: string }
  | { readonly kind: "stream"; readonly stream: string; readonly subject: string };

const FUNCTION =
  /^arn:aws[a-zA-Z-]*:lambda:[a-z0-9-]+:(?<acct>\d{12}):function:(?<fn>[a-zA-Z0-9-_]{1,64})(?::(?<qualifier>\$LATEST|[a-zA-Z0-9-_]+))?$/;
const SUBJECT = /^arn:aws[a-zA-Z-]*:nats:::subject\/(.+)$/s;
const STREAM = /^arn:aws[a-zA-Z-]*:nats:::stream\/([^/]+)\/(.+)$/s;

/** What a destination's ARN stands for; `undefined` for what is none, or belongs to the platform. */
export function destinationTarget(arn: string): DestinationTarget | undefined {
  const { acct, fn, qualifier } = FUNCTION.exec(arn)?.groups ?? {};
  if (acct !== undefined && fn !== undefined)
    return { kind: "function", acct, fn, ...(qualifier === undefined ? {} : { qualifier }) };
  const [, published] = SUBJECT.exec(arn) ?? [];
  if (published !== undefined) return isOwnSubject(published) ? { kind: "subject", subject: published } : undefined;
  const [, stream = "", subject = ""] = STREAM.exec(arn) ?? [];
  return isOwnStream(stream) && isOwnSubject(subject) ? { kind: "stream", stream, subject } : undefined;
}

export const subjectDestination = (subject: string): string => `arn:aws:nats:::subject/${subject}`;
export const streamDestination = (stream: string, subject: string): string =>
  `arn:aws:nats:::stream/${stream}/${subject}`;

export const EventInvokeConfig = z.object({
  MaximumRetryAttempts: z.number().int().min(0).max(2).optional(),
  MaximumEventAgeInSeconds: z.number().int().min(60).max(21_600).optional(),
  DestinationConfig: z.object({ OnSuccess: Destination, OnFailure: Destination }),
  /** Epoch seconds. */
  LastModified: z.number(),
});
export type EventInvokeConfig = z.infer<typeof EventInvokeConfig>;

/** Mayfly's own settings of a function's queue. */
export const QueueConfig = z.object({
  /** Events of this function that run at the same time. */
  MaximumConcurrency: z.number().int().positive().optional(),
  /** Events are accepted and kept, none is started. */
  Paused: z.boolean().optional(),
});
export type QueueConfig = z.infer<typeof QueueConfig>;
