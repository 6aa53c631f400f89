/**
 * Asynchronous invokes. A user types `mayfly.async.<fn>`; the server stamps tenant and shard, and the message is accepted
 * once it is stored in the shard's work queue. What must wait for another attempt waits in RETRY, holding no slot.
 */
import { z } from "zod";
import { raw } from "./contract.ts";
import { Token } from "./tokens.ts";

/** What users and clients publish. Payload: the event, JSON. */
export const UserAsync = raw("mayfly.async.{fn}");
export const UserAsyncQualified = raw("mayfly.async.{fn}.{qualifier}");

/** What the platform publishes for a tenant; the server adds the shard. Answered with JetStream's PubAck. */
export const Enqueue = raw("mayfly.{acct}.enqueue.{fn}");
export const EnqueueQualified = raw("mayfly.{acct}.enqueue.{fn}.{qualifier}");

/** Stored in stream ASYNC_<shard>: accepted, not yet finished. */
export const Queued = raw("mayfly.{acct}.async.{shard}.{fn}");
export const QueuedQualified = raw("mayfly.{acct}.async.{shard}.{fn}.{qualifier}");

/**
 * Stored in stream RETRY: waits for its time, by a schedule of the server's that fires as `Due`. A server keeps one schedule
 * of a subject, and senders may give two events the same request id: where an event was accepted, its shard and its sequence
 * there, is its own.
 */
export const Waiting = raw("mayfly.{acct}.wait.{shard}.{fn}.{requestId}.{sequence}");
/** Stored in stream RETRY: its time has come. */
export const Due = raw("mayfly.{acct}.retry.{shard}.{fn}.{requestId}.{sequence}");

/**
 * Request from a poller or a trigger to any front end: one invocation with an id of its own, which a person can't choose.
 * Payload in, the function's answer out, with the headers of an invoke. The header `Mayfly-Event` carries an EventCall.
 */
export const RunEvent = raw("mayfly.frontend.run.{acct}.{fn}");

/** Bytes of an event. Source: Lambda quotas, "Invocation payload", asynchronous. */
export const MAX_EVENT_BYTES = 1_048_576;

export const EventCall = z.object({
  /** The same for every attempt. */
  requestId: Token,
  /** From 1. */
  attempt: z.number().int().positive(),
  qualifier: z.string().exactOptional(),
  traceId: z.string().exactOptional(),
  /** As the caller sent it: base64 JSON. */
  clientContext: z.string().exactOptional(),
});
export type EventCall = Readonly<z.infer<typeof EventCall>>;
