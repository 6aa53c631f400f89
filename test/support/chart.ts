/** What a machine's own definition says: the states it can rest in, read from its nodes. */
import type { AnyStateMachine, AnyStateNode } from "xstate";

/** Every state configuration an actor can rest in, named as the bus names them. Final ones are left out. */
export function restingStates({ root }: AnyStateMachine): string[] {
  return configurations(root).filter((each) => each !== "");
}

function configurations(node: AnyStateNode): string[] {
  const children = Object.values(node.states);
  if (children.length === 0) return [""];
  const named = children.map((child) =>
    isPassed(child) ? [] : configurations(child).map((inner) => (inner === "" ? child.key : `${child.key}.${inner}`)),
  );
  if (node.type !== "parallel") return named.flat();
  return named.reduce(
    (heads, tails) => heads.flatMap((head) => tails.map((tail) => (head === "" ? tail : `${head}+${tail}`))),
    [""],
  );
}

/** Ended, or left at once because some eventless transition always applies. */
const isPassed = (node: AnyStateNode): boolean =>
  node.type === "final" || (node.always ?? []).some(({ guard }) => guard === undefined);
