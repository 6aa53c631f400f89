/**
 * Who may run how many, as pure functions of a ledger.
 *
 * In use by a function = tokens its front ends hold + what workers still run for front ends that are gone. That sum never
 * exceeds the function's reservation, nor the unreserved sum the account's rest, whatever order messages come in.
 * Source: Lambda developer guide, "Concurrency"; API reference, TooManyRequestsException.Reason.
 */
import { type Refusal, refusal } from "../../subjects/errors.ts";

export interface Holding {
  readonly fn: string;
  readonly frontendId: string;
  readonly count: number;
  /** Ticks since the holder was last heard. */
  readonly silentTicks: number;
}

export interface Running {
  readonly fn: string;
  readonly frontendId: string;
  readonly count: number;
}

export interface Ledger {
  readonly limit: number;
  readonly reserved: Readonly<Record<string, number>>;
  /** By front end and pool. */
  readonly holdings: Readonly<Record<string, Holding>>;
  /** By worker: what it said it runs, at its last heartbeat. */
  readonly running: Readonly<Record<string, readonly Running[]>>;
  readonly silentTicks: number;
}

export const emptyLedger = (limit: number, silentTicks: number): Ledger => ({
  limit,
  reserved: {},
  holdings: {},
  running: {},
  silentTicks,
});

export const holder = (frontendId: string, poolId: string): string => `${frontendId}/${poolId}`;

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);

/** Tokens out, and orphans: invocations whose front end is gone but which a worker still runs. */
export function inUse(ledger: Ledger, isCounted: (fn: string) => boolean): number {
  const holdings = Object.values(ledger.holdings);
  const alive = new Set(holdings.map(({ frontendId }) => frontendId));
  const held = holdings.filter(({ fn }) => isCounted(fn)).map(({ count }) => count);
  const orphans = Object.values(ledger.running)
    .flat()
    .filter(({ fn, frontendId }) => isCounted(fn) && !alive.has(frontendId))
    .map(({ count }) => count);
  return sum(held) + sum(orphans);
}

/** How many more invocations of a function may start now. */
export function room(ledger: Ledger, fn: string): number {
  const reservation = ledger.reserved[fn];
  if (reservation !== undefined) return Math.max(0, reservation - inUse(ledger, (each) => each === fn));
  const unreserved = ledger.limit - sum(Object.values(ledger.reserved));
  return Math.max(0, unreserved - inUse(ledger, (each) => ledger.reserved[each] === undefined));
}

export function throttle(ledger: Ledger, fn: string): Refusal {
  const reason =
    ledger.reserved[fn] === undefined
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
  const before = ledger.holdings[key]?.count ?? 0;
  const holding = { fn, frontendId, count: before + granted, silentTicks: 0 };
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
 * A holder says what it has. It is believed when the ledger knows nothing of it (the ledger was lost) and otherwise only
 * heard: a token on its way would be missing in what it says.
 */
export function heldNow(ledger: Ledger, { fn, frontendId, poolId, count }: Application): Ledger {
  const key = holder(frontendId, poolId);
  const known = ledger.holdings[key];
  if (known === undefined && count === 0) return ledger;
  const holding = known === undefined ? { fn, frontendId, count, silentTicks: 0 } : { ...known, silentTicks: 0 };
  return { ...ledger, holdings: { ...ledger.holdings, [key]: holding } };
}

/** Time passes: what a holder that says nothing had is taken back; the workers' word covers what it still runs. */
export function tick(ledger: Ledger): Ledger {
  const holdings = Object.entries(ledger.holdings)
    .filter(([, { silentTicks }]) => silentTicks < ledger.silentTicks)
    .map(([key, holding]) => [key, { ...holding, silentTicks: holding.silentTicks + 1 }] as const);
  return { ...ledger, holdings: Object.fromEntries(holdings) };
}
