/** Follows one actor: its transitions as they happen, or its whole history when it was brief. */
import type { AnyActorLogic, AnyMachineSnapshot } from "xstate";
import type { Component } from "./component.ts";
import { stateName } from "./transitions.ts";

export class Life {
  readonly #noun: string;
  readonly #id: string;
  readonly #component: Component;
  readonly #history: Array<{ state: string; us: number }> | undefined;
  #value: AnyMachineSnapshot["value"] | undefined;
  #state = "";
  #sinceUs: number;
  #event = "xstate.init";

  constructor(noun: string, id: string, component: Component, brief: boolean) {
    this.#noun = noun;
    this.#id = id;
    this.#component = component;
    this.#history = brief ? [] : undefined;
    this.#sinceUs = component.clock.us();
  }

  /** What its next step is for. */
  hears(event: string): void {
    this.#event = event;
  }

  /** The actor has settled after an event. */
  stepped(snapshot: AnyMachineSnapshot): void {
    if (snapshot.value === this.#value) return;
    this.#value = snapshot.value;
    const to = stateName(snapshot.value);
    if (to === this.#state) return;
    const from = this.#state;
    const us = this.#component.clock.us();
    if (this.#history !== undefined) {
      if (from !== "") this.#history.push({ state: from, us: Math.round(us - this.#sinceUs) });
    } else {
      const transition = {
        actor: this.#noun,
        id: this.#id,
        from,
        to,
        event: this.#event,
        at: this.#component.clock.now(),
      };
      this.#component.teller.moved(transition);
      this.#component.log.debug(transition, "transition");
    }
    this.#state = to;
    this.#sinceUs = us;
  }

  /** A brief actor's life in one message. */
  tell(about: Record<string, unknown>, keep: boolean): void {
    const history = this.#history ?? [];
    this.#component.teller.lived(
      {
        actor: this.#noun,
        id: this.#id,
        from: history[0]?.state ?? "",
        to: this.#state,
        event: this.#event,
        at: this.#component.clock.now(),
        history,
        about,
      },
      keep,
    );
  }
}

/** The same logic, whose lives know what each step was for: xstate's own inspection would double the cost of a step. */
export function followed<L extends AnyActorLogic>(logic: L, lifeOf: (id: string) => Life | undefined): L {
  const transition: L["transition"] = (snapshot, event, scope) => {
    lifeOf(scope.self.id)?.hears(event.type);
    return logic.transition(snapshot, event, scope);
  };
  return Object.create(logic, { transition: { value: transition } });
}
