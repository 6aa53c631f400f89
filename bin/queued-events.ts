/** The events of a function that have not come to an end: in its queue, waiting for another attempt, or due for it. */
import { deterministicId } from "../actors/bus/identity.ts";
import { Due, Queued, QueuedQualified, Waiting } from "../subjects/async.ts";
import { type Contract, IllegalToken, isToken } from "../subjects/contract.ts";
import { Dead } from "../subjects/dead.ts";
import * as H from "../subjects/headers.ts";
import { ASYNC_STREAMS, DEAD_STREAM, RETRY_STREAM } from "../subjects/streams.ts";
import { DEFAULT_ACCOUNT, tokenToQualifier } from "../subjects/tokens.ts";
import { Misused } from "./failure.ts";
import { headerOf, type Shelf, type Stored } from "./stored.ts";

/** `queued` includes what is being run right now; `due` is about to be. */
export type EventState = "queued" | "waiting" | "due";

export interface QueuedEvent {
  /** The request id: the one that was sent with it, or the one its poller gives it. */
  readonly id: string;
  readonly state: EventState;
  /** The attempt that comes next, or is being made. */
  readonly attempt: number;
  readonly qualifier: string | undefined;
  /** Epoch milliseconds. */
  readonly acceptedAt: number;
  /** Epoch milliseconds; only of what waits. */
  readonly dueAt: number | undefined;
  readonly place: { readonly stream: string; readonly sequence: number };
  readonly stored: Stored;
}

export interface Backlog {
  readonly queued: number;
  readonly waiting: number;
  readonly dead: number;
}

const LONGEST_ID = 128;

interface Holding {
  readonly stream: string;
  readonly contract: Contract;
  readonly state: EventState;
}

const HOLDINGS: readonly Holding[] = [
  ...ASYNC_STREAMS.flatMap((stream) =>
    [Queued, QueuedQualified].map((contract) => ({ stream, contract, state: "queued" as const })),
  ),
  { stream: RETRY_STREAM, contract: Due, state: "due" },
  { stream: RETRY_STREAM, contract: Waiting, state: "waiting" },
];

/** Those in its queue first, oldest first. Throws `Misused` for what is no function's name. */
export async function* eventsOf(shelf: Shelf, fn: string): AsyncGenerator<QueuedEvent> {
  for (const { stream, contract, state } of HOLDINGS)
    for await (const stored of shelf.messages(stream, subjectFor(contract, fn)))
      yield eventIn(stored, stream, contract, state);
}

/** Of every function that has anything, by name. */
export async function backlogs(shelf: Shelf): Promise<ReadonlyMap<string, Backlog>> {
  const found = new Map<string, Backlog>();
  const add = (contract: Contract, subject: string, kind: keyof Backlog, count: number) => {
    const { fn, acct } = contract.address(subject) as { fn?: string; acct?: string };
    if (fn === undefined || acct !== DEFAULT_ACCOUNT) return;
    const before = found.get(fn) ?? { queued: 0, waiting: 0, dead: 0 };
    found.set(fn, { ...before, [kind]: before[kind] + count });
  };
  for (const stream of [...ASYNC_STREAMS, RETRY_STREAM, DEAD_STREAM]) {
    const contracts = [...HOLDINGS.filter((each) => each.stream === stream).map((each) => each.contract)];
    for (const [subject, count] of Object.entries(await shelf.counts(stream))) {
      if (stream === DEAD_STREAM) add(Dead, subject, "dead", count);
      const contract = contracts.find((each) => matches(each, subject));
      if (contract !== undefined) add(contract, subject, stream === RETRY_STREAM ? "waiting" : "queued", count);
    }
  }
  return new Map([...found].sort(([one], [other]) => (one < other ? -1 : 1)));
}

/** Throws `Misused` for what is no function's name. */
export function subjectFor(contract: Contract, fn: string): string {
  try {
    return contract.subject({ acct: DEFAULT_ACCOUNT, fn } as never);
  } catch (error) {
    if (error instanceof IllegalToken) throw new Misused(`"${fn}" is no function's name`, { cause: error });
    throw error;
  }
}

function eventIn(stored: Stored, stream: string, contract: Contract, state: EventState): QueuedEvent {
  const address = contract.address(stored.subject) as { requestId?: string; qualifier?: string };
  const qualifier =
    headerOf(stored, H.QUALIFIER) ??
    (address.qualifier === undefined ? undefined : tokenToQualifier(address.qualifier));
  const at = /^@at (.+)$/.exec(headerOf(stored, H.SCHEDULE) ?? "")?.[1];
  return {
    id: address.requestId ?? requestIdOf(stored, stream),
    state,
    attempt: Number(headerOf(stored, H.ATTEMPT) ?? 1),
    qualifier,
    acceptedAt: Number(headerOf(stored, H.ACCEPTED_AT) ?? stored.time.getTime()),
    dueAt: at === undefined ? undefined : Date.parse(at),
    place: { stream, sequence: stored.seq },
    stored,
  };
}

/** As the poller reads or makes it: see actors/poller/intake.ts. */
function requestIdOf(stored: Stored, stream: string): string {
  const given = headerOf(stored, H.REQUEST_ID);
  const isUsable = given !== undefined && isToken(given) && given.length <= LONGEST_ID;
  return isUsable ? given : deterministicId(`${stream} ${stored.seq} ${stored.time.getTime()}`);
}

/** Token by token: a slot takes any one token. */
function matches({ pattern }: Contract, subject: string): boolean {
  const tokens = subject.split(".");
  const wanted = pattern.split(".");
  return wanted.length === tokens.length && wanted.every((each, at) => each.startsWith("{") || each === tokens[at]);
}
