/** Medians, percentiles and their ratios, and how they are printed. */
export interface Figures {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly perSecond: number;
  readonly errors: number;
}

const at = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;

const ascending = (numbers: readonly number[]): number[] => [...numbers].sort((a, b) => a - b);

/** Of few numbers, a high percentile is the greatest. */
export const percentile = (numbers: readonly number[], share: number): number => at(ascending(numbers), share);

export const median = (numbers: readonly number[]): number => at(ascending(numbers), 0.5);

export function figures(timesMs: readonly number[], elapsedMs: number, errors: number): Figures {
  const sorted = ascending(timesMs);
  return { p50Ms: at(sorted, 0.5), p99Ms: at(sorted, 0.99), perSecond: (timesMs.length / elapsedMs) * 1000, errors };
}

/** The median round, figure by figure: one noisy round doesn't show. */
export const medianRound = (rounds: readonly Figures[]): Figures => ({
  p50Ms: median(rounds.map(({ p50Ms }) => p50Ms)),
  p99Ms: median(rounds.map(({ p99Ms }) => p99Ms)),
  perSecond: median(rounds.map(({ perSecond }) => perSecond)),
  errors: rounds.reduce((sum, { errors }) => sum + errors, 0),
});

export const times = (ratio: number): string => `${ratio.toFixed(2)} ×`;
export const ms = (value: number): string => `${value.toFixed(value < 10 ? 3 : 1)} ms`;
