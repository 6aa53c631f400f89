/** Dead letters: what the stream DEAD keeps of events that were given up, and what may be done with them. */
import { Enqueue, EnqueueQualified } from "../subjects/async.ts";
import { Dead } from "../subjects/dead.ts";
import * as H from "../subjects/headers.ts";
import { DEAD_STREAM } from "../subjects/streams.ts";
import { DEFAULT_ACCOUNT, LATEST, qualifierToToken } from "../subjects/tokens.ts";
import { durationIn } from "./durations.ts";
import { Misused } from "./failure.ts";
import { type QueuedEvent, subjectFor } from "./queued-events.ts";
import type { Session } from "./session.ts";
import { headerOf, type Shelf, type Stored } from "./stored.ts";
import { store } from "./storing.ts";

export interface Letter {
  /** Its number in the stream. */
  readonly seq: number;
  readonly requestId: string | undefined;
  readonly reason: string | undefined;
  readonly attempts: number | undefined;
  readonly errorType: string | undefined;
  readonly errorMessage: string | undefined;
  readonly qualifier: string | undefined;
  /** Epoch milliseconds: accepted, and given up. */
  readonly acceptedAt: number | undefined;
  readonly diedAt: number;
  readonly bytes: number;
  readonly stored: Stored;
}

/** Whether a letter is meant. */
export type Choice = (letter: Letter) => boolean;

/** Oldest first, none that comes while they are read. */
export async function* lettersOf(shelf: Shelf, fn: string, isMeant: Choice): AsyncGenerator<Letter> {
  for await (const stored of shelf.messages(DEAD_STREAM, subjectFor(Dead, fn))) {
    const letter = letterIn(stored);
    if (isMeant(letter)) yield letter;
  }
}

function letterIn(stored: Stored): Letter {
  const number = (name: string) => {
    const value = headerOf(stored, name);
    return value === undefined ? undefined : Number(value);
  };
  return {
    seq: stored.seq,
    requestId: headerOf(stored, H.REQUEST_ID),
    reason: headerOf(stored, H.DEAD_REASON),
    attempts: number(H.ATTEMPT),
    errorType: headerOf(stored, H.ERROR_TYPE),
    errorMessage: headerOf(stored, H.ERROR_MESSAGE),
    qualifier: headerOf(stored, H.QUALIFIER),
    acceptedAt: number(H.ACCEPTED_AT),
    diedAt: stored.time.getTime(),
    bytes: stored.data.length,
    stored,
  };
}

const FILTERS: Readonly<Record<string, (letter: Letter, value: string) => boolean>> = {
  reason: ({ reason }, value) => reason === value,
  error: ({ errorType }, value) => errorType === value,
  message: ({ errorMessage = "" }, value) => errorMessage.includes(value),
  qualifier: ({ qualifier = LATEST }, value) => qualifier === value,
  older: ({ diedAt }, value) => Date.now() - diedAt > (durationIn(value) ?? Number.POSITIVE_INFINITY),
  newer: ({ diedAt }, value) => Date.now() - diedAt <= (durationIn(value) ?? 0),
};

export const FILTER_WORDS = Object.keys(FILTERS).join(", ");

/** Letters that pass every filter, `key=value`, and, if any are named, are one of `names`: numbers or request ids. */
export function choiceOf(names: readonly string[], filters: readonly string[]): Choice {
  const tests = filters.map((text) => {
    const [, key = "", value = ""] = /^(\w+)=(.*)$/s.exec(text) ?? [];
    const test = Object.hasOwn(FILTERS, key) ? FILTERS[key] : undefined;
    if (test === undefined) throw new Misused(`"${text}" is no filter: key=value, with ${FILTER_WORDS}`);
    if (["older", "newer"].includes(key) && durationIn(value) === undefined)
      throw new Misused(`"${text}": the duration must be like 30s, 10m, 2h or 1d`);
    return (letter: Letter) => test(letter, value);
  });
  const isNamed = ({ seq, requestId = "" }: Letter) =>
    names.length === 0 || names.includes(String(seq)) || names.includes(requestId);
  return (letter) => isNamed(letter) && tests.every((test) => test(letter));
}

/**
 * The event begins anew in its function's queue, under the same request id and as if just accepted; then the letter is
 * deleted. Interrupted in between, both are there: the next redrive stores the event again only after the queue's
 * duplicate window. `toVersion`: a version or alias instead of the one it was for.
 */
export async function redrive(
  session: Session,
  shelf: Shelf,
  fn: string,
  { seq, qualifier, stored }: Letter,
  toVersion?: string,
): Promise<void> {
  const target = toVersion ?? qualifier;
  const to = { acct: DEFAULT_ACCOUNT, fn };
  const subject =
    target === undefined
      ? Enqueue.subject(to)
      : EnqueueQualified.subject({ ...to, qualifier: qualifierToToken(target) });
  await store(session, { subject, payload: stored.data, headers: callersHeaders(stored), id: `redrive-${seq}` });
  await shelf.remove(DEAD_STREAM, seq);
}

/**
 * Puts an event among the dead letters, as `Cancelled`, and takes it out of its queue. False when it came to its end
 * meanwhile. One that is being run right now is finished all the same, and tried again if it fails.
 */
export async function cancel(session: Session, shelf: Shelf, fn: string, event: QueuedEvent): Promise<boolean> {
  const { place, stored, attempt, acceptedAt, qualifier, id } = event;
  const headers = {
    ...callersHeaders(stored),
    [H.REQUEST_ID]: id,
    [H.DEAD_REASON]: "Cancelled",
    [H.ATTEMPT]: String(attempt - 1),
    [H.ACCEPTED_AT]: String(acceptedAt),
    ...(qualifier === undefined ? {} : { [H.QUALIFIER]: qualifier }),
  };
  const letter = { subject: subjectFor(Dead, fn), payload: stored.data, headers };
  const seq = await store(session, { ...letter, id: `cancel-${place.stream}-${place.sequence}` });
  const wasThere = await shelf.remove(place.stream, place.sequence);
  if (!wasThere) await shelf.remove(DEAD_STREAM, seq);
  return wasThere;
}

/** What the caller sent with the event; not what the server or the platform wrote on it. */
function callersHeaders({ header }: Stored): Record<string, string> {
  const kept = header.keys().filter((name) => !/^(Nats|Mayfly)-/i.test(name));
  return Object.fromEntries(kept.map((name) => [name, header.get(name)]));
}
