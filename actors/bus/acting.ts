/** What a step of a machine does, action by action: as xstate does it, without what it keeps for its inspectors. */
import type { ActorScope, AnyEventObject, AnyMachineSnapshot, UnknownAction } from "xstate";

/** What an actor lends to its machine while it steps. */
export type Scope = ActorScope<AnyMachineSnapshot, AnyEventObject>;

/** The library's own kind of action: it answers with the next snapshot, and what is to be executed for it. */
interface Resolving {
  resolve(
    scope: Scope,
    snapshot: AnyMachineSnapshot,
    args: ActionArgs,
    params: unknown,
    action: Resolving,
    extra: { internalQueue: AnyEventObject[]; deferredActorIds: undefined },
  ): [AnyMachineSnapshot, unknown, readonly UnknownAction[] | undefined];
  readonly type: string;
  readonly execute?: (scope: Scope, params: unknown) => void;
  readonly assignment?: unknown;
}

interface ActionArgs {
  readonly context: unknown;
  readonly event: AnyEventObject;
  readonly self: Scope["self"];
  readonly system: Scope["system"];
}

type Assigner<T> = (args: ActionArgs & { spawn: () => never }, params: unknown) => T;
/** The whole change, or each property of it: a value, or what gives it. */
type Assignment = Assigner<object> | Readonly<Record<string, unknown>>;
type Custom = (args: ActionArgs, params: unknown) => void;

/** Runs actions in their order and gives the snapshot after them. What is executed is up to the actor: at once, or when it is started. */
export function act(
  snapshot: AnyMachineSnapshot,
  actions: readonly UnknownAction[],
  event: AnyEventObject,
  scope: Scope,
  internalQueue: AnyEventObject[],
): AnyMachineSnapshot {
  const { self, system } = scope;
  let next = snapshot;
  for (const action of actions) {
    const named = typeof action === "string" ? { type: action } : action;
    const isInline = typeof named === "function";
    const known: unknown = isInline ? named : next.machine.implementations.actions[named.type];
    const args: ActionArgs = { context: next.context, event, self, system };
    const params = isInline || !("params" in named) ? undefined : paramsOf(named.params, next.context, event);
    if (!isResolving(known)) {
      const type = isInline ? named.name || "(anonymous)" : named.type;
      scope.actionExecutor({ type, info: args as never, params: params as never, exec: known as Custom });
      continue;
    }
    if (known.assignment !== undefined) {
      const update = updateOf(known.assignment as Assignment, { ...args, spawn: noSpawn }, params);
      next = { ...next, context: { ...next.context, ...update } };
      continue;
    }
    const extra = { internalQueue, deferredActorIds: undefined };
    const [resolved, told, more] = known.resolve(scope, next, args, params, known, extra);
    next = resolved;
    const { execute, type } = known;
    if (execute !== undefined) {
      scope.actionExecutor({ type, info: args as never, params: told as never, exec: () => execute(scope, told) });
    }
    if (more !== undefined) next = act(next, more, event, scope, internalQueue);
  }
  return next;
}

function updateOf(assignment: Assignment, args: ActionArgs & { spawn: () => never }, params: unknown): object {
  if (typeof assignment === "function") return (assignment as Assigner<object>)(args, params);
  const update: Record<string, unknown> = {};
  for (const key in assignment) {
    const value = assignment[key];
    update[key] = typeof value === "function" ? (value as Assigner<unknown>)(args, params) : value;
  }
  return update;
}

const isResolving = (action: unknown): action is Resolving => typeof action === "function" && "resolve" in action;

const paramsOf = (params: unknown, context: unknown, event: AnyEventObject): unknown =>
  typeof params === "function" ? params({ context, event }) : params;

/** Stands where xstate gives a context's maker the means to spawn. */
export function noSpawn(): never {
  throw new Error("an actor is spawned by an action of its own, not while a context is made");
}
