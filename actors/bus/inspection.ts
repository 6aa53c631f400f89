/** An actor's snapshot as it answers `mayfly.inspect.<actor>.<id>`. */
import type { AnyMachineSnapshot } from "xstate";
import type { Said } from "./port.ts";

export function snapshotSaid(to: string, { value, context, status }: AnyMachineSnapshot): Said {
  return { subject: to, payload: JSON.stringify({ state: value, status, context }, shown), isAnswer: true };
}

/** Maps as objects, sets as lists; of bytes only how many. */
const shown = (_: string, value: unknown): unknown => {
  if (value instanceof Map) return Object.fromEntries(value);
  if (value instanceof Set) return [...value];
  return value instanceof Uint8Array ? { bytes: value.length } : value;
};
