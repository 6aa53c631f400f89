/** How many stem cells of each kind are kept ready. */

/** What is known of one kind. Instants are milliseconds of any one clock. */
export interface Demand {
  /** When one was asked for, oldest first, whether or not there was one. */
  readonly askedAt: readonly number[];
  /** Kept also when nobody asks. */
  readonly atLeast: number;
}

export interface StemLimits {
  /** Of one kind. */
  readonly perKind: number;
  /** Of all kinds together. */
  readonly total: number;
  /** Asked for within so long, they count as asked for at once: no cell taken is replaced sooner. */
  readonly burstMs: number;
  /** A burst is remembered, and prepared for, for so long. */
  readonly memoryMs: number;
}

/** The asks that still count at `now`. */
export const remembered = (askedAt: readonly number[], now: number, { memoryMs }: StemLimits): readonly number[] =>
  askedAt.filter((at) => at > now - memoryMs);

/** As many as the greatest burst that is remembered would take. */
function wanted({ askedAt, atLeast }: Demand, now: number, limits: StemLimits): number {
  const asks = remembered(askedAt, now, limits);
  let [greatest, from] = [0, 0];
  for (let to = 0; to < asks.length; to++) {
    while ((asks[from] ?? 0) <= (asks[to] ?? 0) - limits.burstMs) from += 1;
    greatest = Math.max(greatest, to - from + 1);
  }
  return Math.min(limits.perKind, Math.max(greatest, atLeast));
}

/**
 * The number of ready cells to aim at, for each kind in its place. Where the total doesn't suffice for all that is wanted,
 * every kind gets one before any gets another, those asked for last before the others.
 */
export function targets(kinds: readonly Demand[], now: number, limits: StemLimits): readonly number[] {
  const wants = kinds.map((kind) => wanted(kind, now, limits));
  const given = wants.map(() => 0);
  const order = kinds.map((_, index) => index).sort((a, b) => lastAsk(kinds[b]) - lastAsk(kinds[a]));
  let left = limits.total;
  for (let round = 1; round <= limits.perKind && left > 0; round++) {
    for (const index of order) {
      if ((wants[index] ?? 0) < round || left === 0) continue;
      given[index] = round;
      left -= 1;
    }
  }
  return given;
}

const lastAsk = (kind: Demand | undefined): number => kind?.askedAt.at(-1) ?? Number.NEGATIVE_INFINITY;
