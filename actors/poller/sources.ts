/** Where events of a function lie. Each kind of subject has its own takers: older servers know one filter per consumer. */
import { Due, Queued, QueuedQualified, Waiting } from "../../subjects/async.ts";
import { isToken } from "../../subjects/contract.ts";
import { ASYNC_STREAMS, asyncStream, RETRY_STREAM } from "../../subjects/streams.ts";
import type { Source } from "./backlog/machine.ts";

export interface Spot {
  readonly acct: string;
  readonly fn: string;
  /** Where the message is, and before it, if it is another one, the source whose taker takes from all of the function's. */
  readonly sources: readonly Source[];
}

const queued = (acct: string, fn: string, shard: string): Source => ({
  stream: asyncStream(shard),
  subject: Queued.subject({ acct, fn, shard }),
  name: `latest-${acct}-${fn}`,
  isFirst: true,
});
const qualified = (acct: string, fn: string, shard: string): Source => ({
  stream: asyncStream(shard),
  subject: QueuedQualified.subject({ acct, fn, shard }),
  name: `qualified-${acct}-${fn}`,
  isFirst: false,
});
const due = (acct: string, fn: string, shard: string): Source => ({
  stream: RETRY_STREAM,
  subject: Due.subject({ acct, fn, shard }),
  name: `retry-${acct}-${fn}`,
  isFirst: false,
});

/** Whose a stored message is; `undefined` when its subject names no function that could exist. */
export function spotOf(stream: string, subject: string): Spot | undefined {
  if (stream === RETRY_STREAM) {
    const { acct, fn, shard } = Due.address(subject);
    return isToken(fn) ? { acct, fn, sources: [queued(acct, fn, shard), due(acct, fn, shard)] } : undefined;
  }
  const { acct, fn, shard } = Queued.address(subject);
  if (!isToken(fn)) return undefined;
  const { qualifier } = QueuedQualified.address(subject);
  const first = queued(acct, fn, shard);
  return { acct, fn, sources: qualifier === "" ? [first] : [first, qualified(acct, fn, shard)] };
}

/** Whose a stored message is, whatever else its subject names. */
export const accountOf = (subject: string): string => Queued.address(subject).acct;

/** All there is to list: a stream, and the subjects in it. What waits for its time counts: soon it is due. */
export const LISTINGS: ReadonlyArray<{ readonly stream: string; readonly subject: string }> = [
  ...ASYNC_STREAMS.flatMap((stream, shard) => [
    { stream, subject: Queued.subject({ shard: String(shard) }) },
    { stream, subject: QueuedQualified.subject({ shard: String(shard) }) },
  ]),
  { stream: RETRY_STREAM, subject: Waiting.subject() },
  { stream: RETRY_STREAM, subject: Due.subject() },
];
