/**
 * Where a batch goes that is given up: its record is delivered before its messages are acknowledged. The messages' own data
 * isn't in it, only where they are, as Lambda has it for streams.
 * Source: Lambda developer guide, "Configuring destinations for failed invocations" of Kinesis.
 */
import { Enqueue, EnqueueQualified } from "../../subjects/async.ts";
import { destinationTarget } from "../../subjects/event-invoke.ts";
import { type MappingRecord, sourceArn } from "../../subjects/mapping.ts";
import { qualifierToToken } from "../../subjects/tokens.ts";
import type { Said } from "../bus/port.ts";
import type { Storing, WorkQueues } from "../bus/queues.ts";
import type { Held } from "./batches.ts";
import type { Failed, Outcome } from "./policy.ts";

export interface Given {
  readonly failed: Failed<Held>;
  /** Of the last try, if there was one. */
  readonly outcome: Outcome | undefined;
  readonly requestId: string;
  readonly region: string;
  /** Epoch ms. */
  readonly at: number;
}

export function failureRecord(mapping: MappingRecord, { failed, outcome, requestId, region, at }: Given): object {
  const { records, attempts } = failed.group;
  const [first, last] = [records[0], records.at(-1)];
  const arn = `arn:aws:lambda:${region}:${mapping.acct}:function:${mapping.fn}`;
  const iso = (ms: number | undefined) => (ms === undefined ? undefined : new Date(ms).toISOString());
  return {
    version: "1.0",
    timestamp: iso(at),
    requestContext: {
      requestId,
      functionArn: mapping.qualifier === undefined ? arn : `${arn}:${mapping.qualifier}`,
      condition: failed.condition,
      approximateInvokeCount: attempts,
    },
    ...(outcome?.kind === "error"
      ? {
          responseContext: {
            statusCode: outcome.statusCode,
            executedVersion: outcome.version,
            functionError: outcome.functionError,
          },
        }
      : {}),
    NatsBatchInfo: {
      stream: first?.message.stream,
      startSequenceNumber: String(first?.message.sequence),
      endSequenceNumber: String(last?.message.sequence),
      sequenceNumbers: records.map(({ message }) => message.sequence),
      approximateArrivalOfFirstRecord: iso(first?.storedAt),
      approximateArrivalOfLastRecord: iso(last?.storedAt),
      batchSize: records.length,
      streamArn: sourceArn(mapping.source),
    },
  };
}

/** Resolves when it has been delivered, or there is nowhere for it to go. Told twice with one `id`, it is stored once. */
export async function deliverFailure(
  arn: string | undefined,
  body: object,
  id: string,
  { queues, publish }: { readonly queues: Pick<WorkQueues, "store">; readonly publish: (said: Said) => Promise<void> },
): Promise<void> {
  const target = arn === undefined ? undefined : destinationTarget(arn);
  if (target === undefined) return;
  const payload = JSON.stringify(body);
  const store = async (subject: string, storing: Storing = {}) =>
    void (await queues.store({ subject, payload }, { id, ...storing }));
  if (target.kind === "subject") return publish({ subject: target.subject, payload });
  if (target.kind === "stream") return store(target.subject, { stream: target.stream });
  const { acct, fn, qualifier } = target;
  return store(
    qualifier === undefined
      ? Enqueue.subject({ acct, fn })
      : EnqueueQualified.subject({ acct, fn, qualifier: qualifierToToken(qualifier) }),
  );
}
