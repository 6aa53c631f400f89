/**
 * Stepping a machine faster changes nothing of what it does. Every scene of every machine test is played both ways
 * (support/given.ts); here are the corners of charts that our machines don't have, or don't have yet.
 */
import { describe, expect, test } from "vitest";
import { type AnyStateMachine, assign, cancel, emit, enqueueActions, fromCallback, raise, sendTo, setup } from "xstate";
import { stepping } from "../../actors/bus/stepping.ts";
import { leasesMachine } from "../../actors/frontend/leases/machine.ts";
import { invocationMachine } from "../../actors/frontend/machine.ts";
import { leaseMachine } from "../../actors/placement/machine.ts";
import { eventMachine } from "../../actors/poller/machine.ts";
import { sandboxMachine } from "../../actors/sandbox/machine.ts";
import { workerMachine } from "../../actors/worker/machine.ts";
import { poolMachine } from "../../actors/worker-manager/machine.ts";
import { given } from "../support/given.ts";

const isStepped = (machine: AnyStateMachine): boolean => stepping(machine) !== machine;

test("the machines that every call passes through are stepped fast, and one with parallel states is left to xstate", () => {
  for (const machine of [sandboxMachine, invocationMachine, leasesMachine, poolMachine, workerMachine, eventMachine]) {
    expect([machine.id, isStepped(machine)]).toEqual([machine.id, true]);
  }
  expect(isStepped(leaseMachine)).toBe(false);
});

type Event = { type: "go" | "up" | "again" | "anew" | "inner" | "stay" | "many" | "tell" | "odd" | "end" | "own" };
const types = {
  context: {} as { readonly log: readonly string[]; readonly count: number },
  events: {} as Event,
  emitted: {} as { type: "said"; log: string },
};
const note = (text: string) => ({ type: "note", params: { text } }) as const;

const chart = (record: (told: string) => void) =>
  setup({
    types,
    actors: { helper: fromCallback<{ type: string }>(({ receive }) => receive(({ type }) => record(type))) },
    delays: { soon: ({ context }) => 10 + context.count },
    guards: { isTwice: ({ context }) => context.count === 2, isFour: ({ context }) => context.count === 4 },
    actions: {
      act: ({ context }, params: { name: string }) => record(`${params.name} at ${context.log.length}`),
      say: emit(({ context }) => ({ type: "said" as const, log: context.log.join() })),
      note: assign(({ context }, { text }: { text: string }) => ({ log: [...context.log, text] })),
      count: assign({ count: ({ context }) => context.count + 1 }),
    },
  }).createMachine({
    id: "chart",
    context: { log: [], count: 0 },
    entry: [note("in root"), { type: "act", params: { name: "root" } }, "say"],
    exit: [note("out root"), "say"],
    invoke: { src: "helper", id: "helper" },
    initial: "outer",
    on: {
      up: ".other",
      odd: { guard: "isTwice", actions: note("root heard odd") },
      "*": { actions: note("root heard") },
    },
    states: {
      outer: {
        initial: "a",
        entry: [note("in outer"), "say"],
        exit: note("out outer"),
        tags: "busy",
        always: { guard: "isFour", target: "other", actions: [note("unasked"), "count"] },
        after: { soon: { target: "other", actions: note("late") } },
        on: {
          again: "outer",
          anew: { target: "outer", reenter: true },
          inner: ".b",
          many: {
            actions: enqueueActions(({ enqueue, check }) => {
              enqueue(note("first"));
              if (check("isTwice")) enqueue.emit({ type: "said", log: "twice" });
              enqueue({ type: "act", params: { name: "many" } });
              enqueue.raise({ type: "go" });
            }),
          },
        },
        states: {
          a: {
            entry: note("in a"),
            exit: [note("out a"), "count"],
            on: { go: "b", own: { target: "a" }, stay: {}, tell: { actions: sendTo("helper", { type: "told" }) } },
          },
          b: {
            entry: [note("in b"), raise({ type: "stay" }, { delay: 5, id: "later" })],
            exit: [cancel("later"), note("out b")],
            on: {
              go: { target: "a", actions: [note("back"), raise({ type: "own" })] },
              odd: { target: "#chart.outer", reenter: true },
              "*": { actions: note("b heard") },
            },
          },
        },
      },
      other: { entry: note("in other"), on: { go: "outer.b", end: "gone" } },
      gone: { type: "final", entry: [note("in gone"), "say"], exit: note("out gone") },
    },
  });

describe("a chart with everything that is stepped", () => {
  const events = ["go", "up", "again", "anew", "inner", "stay", "many", "tell", "odd", "end", "own"] as const;
  const scene = () => given<ReturnType<typeof chart>, string>(chart, undefined);

  test("does whatever it hears, and however it got there, as xstate does it", () => {
    expect(isStepped(chart(() => {}))).toBe(true);
    const play = (...heard: Event[]): void => {
      const played = scene();
      for (const event of heard) if (!played.isOver) played.when(event).after(5);
      played.after(20);
    };
    for (const first of events) {
      for (const second of events) {
        for (const third of events) play({ type: first }, { type: second }, { type: third });
      }
    }
  });

  test("moves unasked, and on what it told itself, in the order of SCXML", () => {
    const { snapshot } = scene().when({ type: "go" }, { type: "go" }, { type: "go" });
    expect(snapshot.context.log.join(", ")).toBe(
      "in root, in outer, in a, out a, in b, out b, back, in a, out a, in b",
    );
  });

  test("ends with the exits of all it was in", () => {
    const over = scene().when({ type: "up" }, { type: "end" });
    expect(over.isOver).toBe(true);
    expect(over.snapshot.context.log.slice(-3)).toEqual(["in gone", "out gone", "out root"]);
  });
});

test("what a machine throws is its failure here, too", () => {
  const broken = setup({ types }).createMachine({
    context: { log: [], count: 0 },
    initial: "a",
    states: {
      a: {
        on: {
          go: {
            actions: assign(() => {
              throw new Error("no context");
            }),
          },
        },
      },
    },
  });
  expect(() => given(broken, undefined).when({ type: "go" })).toThrow("no context");
});
