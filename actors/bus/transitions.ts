/**
 * Says what happened: each transition of a long-lived actor once, and the whole life of a brief one when it ends.
 * What is said here is what `nats sub 'mayfly.state.>'` shows, so nothing is sampled or folded on this subject.
 */
import type { StateValue } from "xstate";
import { History, State, type Transition } from "../../subjects/state.ts";
import type { Clock, Network, Said } from "./port.ts";
import { say } from "./wiring.ts";

/** `busy.running` for a nested state; parallel regions are joined with `+`. */
export function stateName(value: StateValue): string {
  if (typeof value === "string") return value;
  return Object.entries(value)
    .map(([state, inner]) => {
      const name = inner === undefined ? "" : stateName(inner);
      return name === "" ? state : `${state}.${name}`;
    })
    .join("+");
}

export interface Teller {
  /** A long-lived actor moved. */
  moved(transition: Transition): void;
  /** A brief actor ended; `keep` also stores it, where it is worth looking at later. */
  lived(transition: Transition, keep: boolean): void;
}

/** More kept lives than this in one second are counted but not stored; the next one stored says how many were left out. */
const KEPT_PER_SECOND = 50;

export function tellTransitions(network: Network, clock: Clock): Teller {
  let second = 0;
  let kept = 0;
  let leftOut = 0;
  const mayKeep = (): boolean => {
    const now = Math.floor(clock.now() / 1000);
    if (now !== second) [second, kept] = [now, 0];
    kept += 1;
    if (kept > KEPT_PER_SECOND) leftOut += 1;
    return kept <= KEPT_PER_SECOND;
  };
  return {
    moved(transition) {
      network.publish(news(State, transition));
    },
    lived(transition, keep) {
      network.publish(news(State, transition));
      if (!keep || !mayKeep()) return;
      const told =
        leftOut === 0 ? transition : { ...transition, about: { ...transition.about, leftOutBefore: leftOut } };
      leftOut = 0;
      network.publish(news(History, told));
    },
  };
}

const news = (contract: typeof State | typeof History, transition: Transition): Said => ({
  ...say(contract, transition, transition),
  isNews: true,
});
