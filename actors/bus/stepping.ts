/**
 * The same machine, stepped faster: which states a transition leaves and enters, and in which order that runs which actions,
 * is worked out once and remembered, where xstate works it out anew at every event. It is by far the most that a step costs.
 *
 * Promise: whatever happens, the machine goes where xstate takes it, by the same guards and actions in the same order. What
 * is guarded, assigned, emitted, sent and delayed is left to the library itself, and a machine that has what isn't known
 * here (parallel states, history, actors of single states, ends of inner states) is left to it altogether.
 */
import {
  type AnyActorLogic,
  type AnyEventObject,
  type AnyMachineSnapshot,
  type AnyStateMachine,
  type AnyStateNode,
  type AnyTransitionDefinition,
  StateMachine,
  type StateValue,
  stopChild,
  type UnknownAction,
} from "xstate";
import { evaluateGuard } from "xstate/guards";
import { act, noSpawn, type Scope } from "./acting.ts";

/** Where the machine stands: a leaf of the tree of states, and what follows from it. */
interface Place {
  readonly leaf: AnyStateNode;
  /** From the root to the leaf. */
  readonly nodes: AnyStateNode[];
  readonly value: StateValue;
  readonly tags: Set<string>;
  /** What it may do unasked, innermost first. */
  readonly eventless: readonly AnyTransitionDefinition[];
  /** Who hears an event, innermost first. */
  readonly heard: Map<string, readonly AnyTransitionDefinition[]>;
  readonly moves: Map<AnyTransitionDefinition, Move>;
}

interface Move {
  /** On the way out, in between, on the way in. */
  readonly actions: readonly UnknownAction[];
  readonly to: Place;
}

/** The logic itself where it isn't a machine that can be stepped here. */
export function stepping<L extends AnyActorLogic>(logic: L): L {
  if (!(logic instanceof StateMachine) || !isPlain(logic.root)) return logic;
  const stepper = new Stepper(logic);
  return Object.create(logic, {
    transition: { value: stepper.transition },
    ...(logic.root.invoke.length === 0 ? { getInitialSnapshot: { value: stepper.begin } } : {}),
  });
}

/** Whether all that a state may do is known here. */
function isPlain(node: AnyStateNode): boolean {
  const { parent } = node;
  const transitions = [...[...node.transitions.values()].flat(), ...(node.always ?? [])];
  return (
    (node.type === "atomic" || node.type === "compound" || (node.type === "final" && parent?.parent === undefined)) &&
    (parent === undefined ? node.type === "compound" && node.output === undefined : node.invoke.length === 0) &&
    (node.type !== "compound" || node.initial.actions.length === 0) &&
    [...node.transitions.keys()].every((event) => !event.endsWith(".*")) &&
    transitions.every(({ target, reenter }) => (target?.length ?? 1) === 1 && !(reenter && parent === undefined)) &&
    Object.values(node.states).every(isPlain)
  );
}

class Stepper {
  readonly #machine: AnyStateMachine;
  readonly #places = new Map<AnyStateNode, Place>();
  /** Where every actor begins, before it has a context. */
  #first: AnyMachineSnapshot | undefined;

  constructor(machine: AnyStateMachine) {
    this.#machine = machine;
  }

  readonly transition = (snapshot: AnyMachineSnapshot, event: AnyEventObject, scope: Scope): AnyMachineSnapshot => {
    // An end or a failure that comes from outside is xstate's business.
    if (snapshot.status !== "active" || event.type === "xstate.stop" || event.type.startsWith("xstate.error.")) {
      return this.#machine.transition(snapshot, event, scope);
    }
    const place = this.#placeOf(snapshot);
    const raised: AnyEventObject[] = [];
    const chosen = choose(candidates(place, event.type), snapshot, event);
    const next = chosen === undefined ? snapshot : this.#move(snapshot, place, chosen, event, scope, raised);
    return this.#settle(next, event, scope, raised);
  };

  readonly begin = (scope: Scope, input: unknown): AnyMachineSnapshot => {
    const event = { type: "xstate.init", input };
    const place = this.#place(innermost(this.#machine.root));
    this.#first ??= this.#machine.resolveState({ value: place.value, context: {} });
    let snapshot = this.#first;
    try {
      const { context } = this.#machine.config;
      const given = typeof context === "function" ? context({ input, self: scope.self, spawn: noSpawn }) : context;
      snapshot = { ...snapshot, context: given ?? {} };
      const raised: AnyEventObject[] = [];
      const entries = place.nodes.flatMap(({ entry }) => entry);
      return this.#settle(act(snapshot, entries, event, scope, raised), event, scope, raised);
    } catch (error) {
      return { ...snapshot, status: "error", output: undefined, error };
    }
  };

  /** Does what it may do unasked, and hears what it raised itself. */
  #settle(snapshot: AnyMachineSnapshot, event: AnyEventObject, scope: Scope, raised: AnyEventObject[]) {
    let [next, heard, mayMoveUnasked] = [snapshot, event, true];
    while (next.status === "active") {
      const place = this.#placeOf(next);
      const unasked = mayMoveUnasked ? choose(place.eventless, next, heard) : undefined;
      if (unasked !== undefined) {
        const before = next;
        next = this.#move(next, place, unasked, heard, scope, raised);
        mayMoveUnasked = next !== before;
        continue;
      }
      const own = raised.shift();
      if (own === undefined) return next;
      heard = own;
      mayMoveUnasked = true;
      const chosen = choose(candidates(place, own.type), next, own);
      if (chosen !== undefined) next = this.#move(next, place, chosen, own, scope, raised);
    }
    const children = Object.values(next.children).map((child) => stopChild(child as never) as unknown as UnknownAction);
    return act(next, children, heard, scope, []);
  }

  #move(
    snapshot: AnyMachineSnapshot,
    place: Place,
    chosen: AnyTransitionDefinition,
    event: AnyEventObject,
    scope: Scope,
    raised: AnyEventObject[],
  ): AnyMachineSnapshot {
    const { actions, to } = place.moves.get(chosen) ?? this.#workOut(place, chosen);
    const next = act(snapshot, actions, event, scope, raised);
    if (to === place) return next;
    const { nodes: _nodes, value, tags } = to;
    if (to.leaf.type !== "final") return { ...next, _nodes, value, tags };
    const exits = to.nodes.toReversed().flatMap(({ exit }) => exit);
    const done = { ...next, status: "done" as const, output: undefined, _nodes, value, tags };
    return act(done as AnyMachineSnapshot, exits, event, scope, raised);
  }

  #workOut(place: Place, chosen: AnyTransitionDefinition): Move {
    const move = this.#moveOf(place, chosen);
    place.moves.set(chosen, move);
    return move;
  }

  /** Source: SCXML, "Algorithm for SCXML Interpretation", as xstate reads it, for one target and no parallel states. */
  #moveOf({ leaf, nodes }: Place, { source, target, reenter, actions }: AnyTransitionDefinition): Move {
    const to = target?.[0];
    if (to === undefined) return { actions, to: this.#place(leaf) };
    const isInside = to === source || isBelow(to, source);
    const domain =
      !reenter && isInside ? source : (above(to).find((each) => isBelow(source, each)) ?? this.#machine.root);
    const place = this.#place(innermost(to));
    const isLeft = (node: AnyStateNode) => isBelow(node, domain);
    return {
      actions: [
        ...nodes
          .filter(isLeft)
          .toReversed()
          .flatMap(({ exit }) => exit),
        ...actions,
        ...place.nodes.filter(isLeft).flatMap(({ entry }) => entry),
      ],
      to: place,
    };
  }

  #placeOf({ _nodes }: AnyMachineSnapshot): Place {
    const last = _nodes[_nodes.length - 1] as AnyStateNode;
    return this.#place(last.type === "compound" ? (_nodes.find(isLeaf) as AnyStateNode) : last);
  }

  #place(leaf: AnyStateNode): Place {
    const known = this.#places.get(leaf);
    if (known !== undefined) return known;
    const nodes = [leaf, ...above(leaf)].toReversed();
    const place: Place = {
      leaf,
      nodes,
      value: stateValue(nodes.slice(1)),
      tags: new Set(nodes.flatMap(({ tags }) => tags)),
      eventless: nodes.toReversed().flatMap(({ always }) => always ?? []),
      heard: new Map(),
      moves: new Map(),
    };
    this.#places.set(leaf, place);
    return place;
  }
}

const isLeaf = ({ type }: AnyStateNode): boolean => type !== "compound";

function above({ parent }: AnyStateNode): AnyStateNode[] {
  return parent === undefined ? [] : [parent, ...above(parent)];
}

const isBelow = (node: AnyStateNode, other: AnyStateNode): boolean => above(node).includes(other);

function innermost(node: AnyStateNode): AnyStateNode {
  return node.type === "compound" ? innermost(node.initial.target[0] as AnyStateNode) : node;
}

function stateValue([first, ...rest]: readonly AnyStateNode[]): StateValue {
  if (first === undefined) return {};
  return rest.length === 0 ? first.key : { [first.key]: stateValue(rest) };
}

/** An event's own transitions come before those of any event; both before those of the states around. */
function candidates({ nodes, heard }: Place, type: string): readonly AnyTransitionDefinition[] {
  let known = heard.get(type);
  if (known === undefined) {
    known = nodes
      .toReversed()
      .flatMap(({ transitions }) => [...(transitions.get(type) ?? []), ...(transitions.get("*") ?? [])]);
    heard.set(type, known);
  }
  return known;
}

function choose(
  among: readonly AnyTransitionDefinition[],
  snapshot: AnyMachineSnapshot,
  event: AnyEventObject,
): AnyTransitionDefinition | undefined {
  for (const each of among) {
    if (each.guard === undefined || evaluateGuard(each.guard, snapshot.context, event, snapshot)) return each;
  }
  return undefined;
}
