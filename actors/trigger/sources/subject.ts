/**
 * Core subjects: all triggers share what comes, each message runs one event. Without `Reply` the event is accepted once it is
 * stored for the function, which is tried as long as this process lives: a core message is nowhere else, so that one is lost
 * that comes while no trigger listens, or that was heard and not yet stored when the process ended. With it the function answers the requester. A micro service of its own, also while nothing runs.
 */
import { Enqueue, EnqueueQualified } from "../../../subjects/async.ts";
import { type Refusal, refusal } from "../../../subjects/errors.ts";
import * as H from "../../../subjects/headers.ts";
import type { MappingRecord } from "../../../subjects/mapping.ts";
import { qualifierToToken } from "../../../subjects/tokens.ts";
import { showService } from "../../bus/micro.ts";
import { type Message, NoAnswer } from "../../bus/port.ts";
import { QueueFull } from "../../bus/queues.ts";
import { refusalOf, refusalSaid } from "../../bus/replies.ts";
import { Statistics } from "../../bus/statistics.ts";
import { ask } from "../asking.ts";
import { recordOf } from "../event.ts";
import { matchesAny } from "../filter.ts";
import { backoffMs, mayAnswer } from "../policy.ts";
import { processed } from "../record.ts";
import { passed, timeoutOf } from "../run.ts";
import type { Surroundings, Work } from "../surroundings.ts";
import { filtered } from "./kept.ts";

/** The longest wait before another try to store what nobody else keeps. */
const STORE_AGAIN_MS = 5000;

export function workOnSubject(mapping: MappingRecord, subject: string, isAnswered: boolean, world: Surroundings): Work {
  const { component, queues, region, ids } = world;
  const { network, clock, log } = component;
  const { uuid, fn, acct, qualifier, filters, maxConcurrency } = mapping;
  const statistics = new Statistics(clock);
  const queue = `mapping-${uuid}`;
  const endpoint = statistics.endpoint(fn, subject, queue);
  const service = showService(network, clock, statistics, {
    name: `mapping-${fn}`,
    id: `${component.id}-${uuid}`,
    version: "1.0.0",
    description: `runs function ${fn} on ${subject}`,
    metadata: { function: fn, mapping: uuid },
  });
  const open = new Set<Promise<void>>();
  const stopping = new AbortController();

  const enqueued =
    qualifier === undefined
      ? Enqueue.subject({ acct, fn })
      : EnqueueQualified.subject({ acct, fn, qualifier: qualifierToToken(qualifier) });
  const enqueue = async (id: string, payload: string, traceId: string | undefined) => {
    const headers = { [H.REQUEST_ID]: id, ...(traceId === undefined ? {} : { [H.TRACE_ID]: traceId }) };
    for (let tried = 1; ; tried++) {
      try {
        return await queues.store({ subject: enqueued, payload, headers }, { id });
      } catch (error) {
        const mayPass = error instanceof NoAnswer || error instanceof QueueFull;
        if (!mayPass || stopping.signal.aborted) throw error;
        if (tried === 1) void processed(mapping, `PROBLEM: ${error.message}`, world);
        const { minMs, maxMs } = world.backoff;
        await passed(
          backoffMs({ attempts: tried, setbacks: 0 }, minMs, Math.min(maxMs, STORE_AGAIN_MS)),
          stopping.signal,
        );
      }
    }
  };
  const refuse = (to: string, why: Refusal) => {
    network.publish(refusalSaid(to, why));
    statistics.answered(to, `${why.name}: ${why.message}`);
  };
  const answer = async (to: string, id: string, payload: string, traceId: string | undefined) => {
    if (maxConcurrency !== undefined && open.size > maxConcurrency)
      return refuse(to, refusal("TooManyRequestsException", "Rate Exceeded.", "CallerRateLimitExceeded"));
    try {
      const timeoutMs = (await timeoutOf(mapping, world)) + world.overheadMs;
      const reply = await ask(network, mapping, { requestId: id, attempt: 1, payload, traceId, timeoutMs });
      network.publish({ subject: to, payload: reply.data, headers: headersOf(reply), isAnswer: true });
      const problem = refusalOf(reply)?.name ?? reply.header(H.FUNCTION_ERROR);
      statistics.answered(to, problem);
      void processed(mapping, problem === undefined ? "OK" : `PROBLEM: ${problem}`, world);
    } catch (error) {
      refuse(to, refusal("ServiceException", error instanceof Error ? error.message : String(error)));
    }
  };

  const heard = async (message: Message) => {
    const { data, replyTo } = message;
    const id = ids();
    const arrival = { subject: message.subject, data, headers: message.headers ?? {}, reply: replyTo, at: clock.now() };
    const record = recordOf(mapping, arrival, region, id);
    if (!matchesAny(filters, filtered(record))) return;
    const payload = JSON.stringify({ Records: [record] });
    const traceId = message.header(H.TRACE_ID);
    if (isAnswered && replyTo !== undefined) {
      if (!mayAnswer(replyTo)) return log.warn({ subject: message.subject, replyTo }, "not answered: the platform's");
      statistics.opened(endpoint, replyTo);
      return answer(replyTo, id, payload, traceId);
    }
    const startedUs = clock.us();
    endpoint.requests += 1;
    try {
      await enqueue(id, payload, traceId);
      void processed(mapping, "OK", world);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      endpoint.errors += 1;
      endpoint.lastError = why;
      log.error({ subject: message.subject, fn, why }, "an event is lost: it could not be stored");
      void processed(mapping, `PROBLEM: ${why}`, world);
    } finally {
      endpoint.processingUs += clock.us() - startedUs;
    }
  };
  const subscription = network.subscribe(
    subject,
    (message) => {
      const work = heard(message).catch((error: unknown) => log.error({ err: error, mapping: uuid }, "not run"));
      open.add(work);
      void work.finally(() => open.delete(work));
    },
    queue,
  );
  return {
    async stop() {
      await subscription.drain();
      stopping.abort();
      await Promise.all(open);
      await service.drain();
      await network.flush().catch(() => {});
    },
  };
}

/** What the front end tells a caller. */
const ANSWER_HEADERS = [
  H.REQUEST_ID,
  H.EXECUTED_VERSION,
  H.FUNCTION_ERROR,
  H.START,
  H.RECEIPT,
  H.RAN_ON,
  H.ERROR_CODE,
  H.ERROR,
];

const headersOf = (reply: Message): Record<string, string> =>
  Object.fromEntries(
    ANSWER_HEADERS.flatMap((name) => {
      const value = reply.header(name);
      return value === undefined ? [] : [[name, value]];
    }),
  );
