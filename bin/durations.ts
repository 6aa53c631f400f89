/** Durations as people type them: `30s`, `10m`, `2h`, `1d`. */
import { InvalidArgumentError } from "commander";

const UNIT_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds; `undefined` for what is none. */
export function durationIn(text: string): number | undefined {
  const [, amount, unit = ""] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const unitMs = UNIT_MS[unit];
  return unitMs === undefined ? undefined : Number(amount) * unitMs;
}

/** As an option's value. */
export function duration(text: string): number {
  const ms = durationIn(text);
  if (ms === undefined) throw new InvalidArgumentError("It must be like 30s, 10m, 2h or 1d.");
  return ms;
}

/** As an option's value, in whole seconds. */
export const seconds = (text: string): number => (/^\d{1,6}$/.test(text) ? Number(text) : duration(text) / 1000);

/** As an option's value. */
export function count(text: string): number {
  if (!/^\d{1,7}$/.test(text)) throw new InvalidArgumentError("It must be a whole number.");
  return Number(text);
}
