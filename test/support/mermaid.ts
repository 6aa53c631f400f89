/** Draws a machine as a Mermaid state diagram, from its own definition: what the chart shows is what runs. */
import type { AnyStateMachine, AnyStateNode } from "xstate";

const INDENT = "  ";

/** The text of a `stateDiagram-v2`. Events are the arrows' labels, guards stand in brackets, `after` is time passing. */
export function mermaid({ root }: AnyStateMachine): string {
  const arrows = transitions(root);
  // Regions side by side, and arrows from wherever it is, need a state around them.
  const needsFrame = root.type === "parallel" || arrows.some((arrow) => arrow.startsWith(`${INDENT}${idOf(root)} -->`));
  const body = needsFrame
    ? [`${INDENT}state "${root.key}" as ${idOf(root)} {`, ...inside(root, 2), `${INDENT}}`]
    : inside(root, 1);
  return ["stateDiagram-v2", ...body, ...arrows].join("\n");
}

const idOf = ({ key, path }: AnyStateNode): string => (path.length === 0 ? `the_${key}` : path.join("_"));

function inside(node: AnyStateNode, depth: number): string[] {
  const pad = INDENT.repeat(depth);
  const children = Object.values(node.states);
  const drawn = children.map((child) => declared(child, depth));
  if (node.type === "parallel") return drawn.flatMap((lines, at) => (at === 0 ? lines : [`${pad}--`, ...lines]));
  const initial = node.states[String(node.config.initial)];
  return [...(initial === undefined ? [] : [`${pad}[*] --> ${idOf(initial)}`]), ...drawn.flat()];
}

function declared(node: AnyStateNode, depth: number): string[] {
  const pad = INDENT.repeat(depth);
  const named = `${pad}state "${node.key}" as ${idOf(node)}`;
  if (node.type === "final") return [named, `${pad}${idOf(node)} --> [*]`];
  if (Object.keys(node.states).length === 0) return [named];
  return [`${named} {`, ...inside(node, depth + 1), `${pad}}`];
}

/** Arrows of the whole chart, once each; what changes no state is left out. */
function transitions(node: AnyStateNode): string[] {
  const own = [...node.transitions.values(), node.always ?? []].flat().flatMap(({ target, eventType, guard }) =>
    (target ?? []).map((to) => {
      const label = [labelOf(eventType), guardOf(guard)].filter((each) => each !== "").join(" ");
      return `${INDENT}${idOf(node)} --> ${idOf(to)}${label === "" ? "" : `: ${label}`}`;
    }),
  );
  return [...new Set([...own, ...Object.values(node.states).flatMap(transitions)])];
}

/** `xstate.after.beat.worker.ready` is `after beat`, `xstate.done.actor.…` is `done`. */
const labelOf = (eventType: string): string => {
  const [xstate, what = "", delay = ""] = eventType.split(".");
  if (xstate !== "xstate") return eventType;
  return what === "after" ? `after ${delay}` : what;
};

const guardOf = (guard: unknown): string => {
  if (guard === undefined) return "";
  return `[${named(guard)}]`;
};

/** Guards are named in the machines; `and([…])` carries the names it joins. */
function named(guard: unknown): string {
  if (typeof guard === "string") return guard;
  if (typeof guard === "function" && "guards" in guard && Array.isArray(guard.guards))
    return guard.guards.map(named).join(" and ");
  return "if";
}
