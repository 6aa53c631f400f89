/** Answers `mayfly.inspect.<actor>.<id>` with the actor's snapshot. */
import type { AnyMachineSnapshot } from "xstate";
import { Inspect } from "../../subjects/state.ts";
import type { Network, Subscription } from "./port.ts";

export interface Inspected {
  readonly actor: string;
  /** Without one, any of these actors: for those that come and go too often for a subscription each. */
  readonly key: string | undefined;
  /** Nobody answers for a stranger: another process may have it. */
  readonly snapshotOf: (id: string) => AnyMachineSnapshot | undefined;
}

export function inspectable(network: Network, { actor, key, snapshotOf }: Inspected): Subscription {
  const subject = Inspect.subject({ actor, ...(key === undefined ? {} : { id: key }) });
  return network.subscribe(subject, ({ subject, replyTo }) => {
    const snapshot = snapshotOf(Inspect.address(subject).id);
    if (replyTo === undefined || snapshot === undefined) return;
    const { value, context, status } = snapshot;
    const payload = JSON.stringify({ state: value, status, context }, shown);
    network.publish({ subject: replyTo, payload, isAnswer: true });
  });
}

/** Maps as objects; of bytes only how many. */
const shown = (_: string, value: unknown): unknown => {
  if (value instanceof Map) return Object.fromEntries(value);
  return value instanceof Uint8Array ? { bytes: value.length } : value;
};
