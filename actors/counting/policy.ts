/**
 * Who may run how many, as pure functions of a ledger.
 *
 * In use by a function = tokens its front ends hold + what workers still run for front ends that are gone. That sum never
 * exceeds the function's reservation, nor the unreserved sum the account's rest, whatever order messages come in. When a
 * limit is lowered below what is in use, nothing new is admitted until enough has come back.
 * Source: Lambda developer guide, "Concurrency"; API reference, TooManyRequestsException.Reason.
 */
import { type Refusal, refusal } from "../../subjects/errors.ts";

export interface Holding {
  readonly fn: string;
  readonly frontendId: string;
  readonly count: number;
  /** Ticks since the holder was last heard. */
  readonly silentTicks: number;
  /** It says it holds less: the most it said, and for how many ticks. */
  readonly claim: { readonly most: number; readonly ticks: number } | null;
}

export interface Running {
  readonly fn: string;
  readonly frontendId: string;
  readonly count: number;
}

/** A worker's last word, and the ticks since. */
export interface WorkerSaid {
  readonly running: readonly Running[];
  readonly silentTicks: number;
}

export interface Ledger {
  readonly limit: number;
  readonly reserved: Readonly<Record<string, number>>;
  /** By front end and pool. */
  readonly holdings: Readonly<Record<string, Holding>>;
  /** By worker: what it said it runs, at its last heartbeat. */
  readonly running: Readonly<Record<string, WorkerSaid>>;
  /** A front end that is silent for longer is taken for gone. */
  readonly silentTicks: number;
  /** What a worker ran that is silent for longer has ended, whatever became of the worker. */
  readonly orphanTicks: number;
}

/** Source: Lambda quotas, "Function timeout". */
const LONGEST_INVOCATION_MS = 900_000;

export const emptyLedger = (limit: number, silentTicks: number, tickMs: number): Ledger => ({
  limit,
  reserved: {},
  holdings: {},
  running: {},
  silentTicks,
  orphanTicks: Math.ceil(LONGEST_INVOCATION_MS / tickMs),
});

export const holder = (frontendId: string, poolId: string): string => `${frontendId}/${poolId}`;

/** A function may be named `constructor`: only what was really reserved counts. */
export const reservationOf = ({ reserved }: Pick<Ledger, "reserved">, fn: string): number | undefined =>
  Object.hasOwn(reserved, fn) ? reserved[fn] : undefined;

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);

/** Tokens out, and orphans: invocations whose front end is gone but which a worker still runs. */
export function inUse(ledger: Ledger, isCounted: (fn: string) => boolean): number {
  const holdings = Object.values(ledger.holdings);
  const alive = new Set(holdings.map(({ frontendId }) => frontendId));
  const held = holdings.filter(({ fn }) => isCounted(fn)).map(({ count }) => count);
  const orphans = Object.values(ledger.running)
    .flatMap(({ running }) => running)
    .filter(({ fn, frontendId }) => isCounted(fn) && !alive.has(frontendId))
    .map(({ count }) => count);
  return sum(held) + sum(orphans);
}

/**
 * How many more invocations of a function may start now. The account's limit is asked too: when a reservation has just
 * been made or lowered, what others have in use may reach into it.
 */
export function room(ledger: Ledger, fn: string): number {
  const account = ledger.limit - inUse(ledger, () => true);
  const reservation = reservationOf(ledger, fn);
  if (reservation !== undefined) {
    return Math.max(0, Math.min(account, reservation - inUse(ledger, (each) => each === fn)));
  }
  const unreserved = ledger.limit - sum(Object.values(ledger.reserved));
  return Math.max(
    0,
    Math.min(account, unreserved - inUse(ledger, (each) => reservationOf(ledger, each) === undefined)),
  );
}

export function throttle(ledger: Ledger, fn: string): Refusal {
  const reason =
    reservationOf(ledger, fn) === undefined
      ? "ConcurrentInvocationLimitExceeded"
      : "ReservedFunctionConcurrentInvocationLimitExceeded";
  return refusal("TooManyRequestsException", "Rate Exceeded.", reason);
}

export interface Application {
  readonly fn: string;
  readonly frontendId: string;
  readonly poolId: string;
  readonly count: number;
}

/** Grants as many as there is room for. */
export function admit(ledger: Ledger, { fn, frontendId, poolId, count }: Application): readonly [Ledger, number] {
  const granted = Math.min(count, room(ledger, fn));
  const key = holder(frontendId, poolId);
  const before = ledger.holdings[key];
  const claim = granted > 0 ? null : (before?.claim ?? null);
  const holding = { fn, frontendId, count: (before?.count ?? 0) + granted, silentTicks: 0, claim };
  return [{ ...ledger, holdings: { ...ledger.holdings, [key]: holding } }, granted];
}

export function release(ledger: Ledger, { frontendId, poolId, count }: Application): Ledger {
  const key = holder(frontendId, poolId);
  const holding = ledger.holdings[key];
  if (holding === undefined) return ledger;
  const left = Math.max(0, holding.count - count);
  const { [key]: _, ...rest } = ledger.holdings;
  return { ...ledger, holdings: left === 0 ? rest : { ...rest, [key]: { ...holding, count: left } } };
}

/**
 * A holder says what it has. More than the ledger knows is believed at once (the ledger was lost). Less is believed only
 * when it has been said for a while, with nothing granted meanwhile: a token on its way is missing in what it says, but one
 * whose answer was lost is missing for good.
 */
export function heldNow(ledger: Ledger, { fn, frontendId, poolId, count }: Application): Ledger {
  const key = holder(frontendId, poolId);
  const known = ledger.holdings[key];
  if (known === undefined && count === 0) return ledger;
  const holding: Holding =
    known === undefined || count >= known.count
      ? { fn, frontendId, count, silentTicks: 0, claim: null }
      : {
          ...known,
          silentTicks: 0,
          claim: { most: Math.max(known.claim?.most ?? 0, count), ticks: known.claim?.ticks ?? 0 },
        };
  return { ...ledger, holdings: { ...ledger.holdings, [key]: holding } };
}

/** A worker says what it runs. */
export const runningNow = (ledger: Ledger, workerId: string, running: readonly Running[]): Ledger => ({
  ...ledger,
  running: { ...ledger.running, [workerId]: { running, silentTicks: 0 } },
});

/** A worker is lost, and what it ran with it. */
export function workerLost(ledger: Ledger, workerId: string): Ledger {
  const { [workerId]: _, ...running } = ledger.running;
  return { ...ledger, running };
}

/** Time passes: what a holder that says nothing had is taken back; the workers' word covers what it still runs. */
export function tick(ledger: Ledger): Ledger {
  const holdings = Object.entries(ledger.holdings)
    .filter(([, { silentTicks }]) => silentTicks < ledger.silentTicks)
    .map(([key, holding]) => [key, older(holding, ledger.silentTicks)] as const);
  const running = Object.entries(ledger.running)
    .filter(([, { silentTicks }]) => silentTicks < ledger.orphanTicks)
    .map(([workerId, said]) => [workerId, { ...said, silentTicks: said.silentTicks + 1 }] as const);
  return { ...ledger, holdings: Object.fromEntries(holdings), running: Object.fromEntries(running) };
}

function older(holding: Holding, believedAfterTicks: number): Holding {
  const silentTicks = holding.silentTicks + 1;
  const { claim } = holding;
  if (claim === null) return { ...holding, silentTicks };
  if (claim.ticks < believedAfterTicks) return { ...holding, silentTicks, claim: { ...claim, ticks: claim.ticks + 1 } };
  return { ...holding, silentTicks, count: Math.min(holding.count, claim.most), claim: null };
}
