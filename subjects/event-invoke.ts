/**
 * How a function's asynchronous events are handled: per qualifier as in the Lambda API, and what is Mayfly's own.
 * Source: Lambda API reference, PutFunctionEventInvokeConfig.
 */
import { z } from "zod";

/**
 * Where a record of an event's end goes, written as an ARN:
 *   arn:aws:lambda:<region>:<acct>:function:<fn>[:<qualifier>]   invoked asynchronously
 *   arn:aws:nats:::subject/<subject>                             published, for whoever listens
 *   arn:aws:nats:::stream/<STREAM>/<subject>                     published, and acknowledged by that stream
 */
export const Destination = z.object({ Destination: z.string().optional() });

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
