/**
 * Reads a machine as a sentence: given(machine, input).when(event) → state, what it said, what it told its process.
 * Nothing waits: the clock is simulated and moves only by `after`.
 *
 * Each scene is played twice, as xstate steps the machine and as the bus does: where they part, the scene fails.
 */
import { isDeepStrictEqual } from "node:util";
import {
  type AnyMachineSnapshot,
  type AnyStateMachine,
  createActor,
  type EmittedFrom,
  type EventFromLogic,
  type InputFrom,
  SimulatedClock,
  type SnapshotFrom,
} from "xstate";
import { stepping } from "../../actors/bus/stepping.ts";
import { stateName } from "../../actors/bus/transitions.ts";

export interface Scene<L extends AnyStateMachine, Told = never> {
  /** As `nats sub 'mayfly.state.>'` would show it. */
  readonly state: string;
  readonly isOver: boolean;
  readonly snapshot: SnapshotFrom<L>;
  /** What was emitted by the last `when` or `after`, or at the start. */
  readonly said: ReadonlyArray<EmittedFrom<L>>;
  /** All that was emitted so far. */
  readonly saidSoFar: ReadonlyArray<EmittedFrom<L>>;
  /** What the last step told or did: commands to a process, effects by name. */
  readonly told: readonly Told[];
  when(...events: ReadonlyArray<EventFromLogic<L>>): this;
  /** Simulated milliseconds pass. */
  after(ms: number): this;
}

/** `logic` is the machine, or makes it from a recorder that stands in for its effects. Throws what the machine throws. */
export function given<L extends AnyStateMachine, Told = never>(
  logic: L | ((record: (told: Told) => void) => L),
  input: InputFrom<L>,
): Scene<L, Told> {
  const [scene, twin] = [play(logic, input, (machine) => machine), play(logic, input, stepping)];
  const both = (happen: (play: Play<L, Told>) => void): void => {
    for (const each of [scene, twin]) each.step(() => happen(each));
    const [ours, theirs] = [twin.seen(), scene.seen()];
    if (!isDeepStrictEqual(ours, theirs)) throw new Error(`the bus takes it ${show(ours)}, xstate ${show(theirs)}`);
  };
  both(({ actor }) => actor.start());
  const now = () => scene.actor.getSnapshot() as AnyMachineSnapshot;
  return {
    get state() {
      return stateName(now().value);
    },
    get isOver() {
      return now().status === "done";
    },
    get snapshot() {
      return now() as SnapshotFrom<L>;
    },
    get said() {
      return scene.said;
    },
    get saidSoFar() {
      return scene.saidSoFar;
    },
    get told() {
      return scene.told;
    },
    when(...events) {
      both(({ actor }) => {
        for (const event of events) actor.send(event);
      });
      return this;
    },
    after(ms) {
      both(({ clock }) => void clock.increment(ms));
      return this;
    },
  };
}

type Play<L extends AnyStateMachine, Told> = ReturnType<typeof play<L, Told>>;

function play<L extends AnyStateMachine, Told>(
  logic: L | ((record: (told: Told) => void) => L),
  input: InputFrom<L>,
  by: (machine: L) => L,
) {
  const clock = new SimulatedClock();
  const saidSoFar: Array<EmittedFrom<L>> = [];
  const now: { said: Array<EmittedFrom<L>>; told: Told[] } = { said: [], told: [] };
  const machine = by(typeof logic === "function" ? logic((each) => now.told.push(each)) : logic);
  const actor = createActor(machine, { ...({ input } as { input: never }), clock });
  actor.on("*", (emitted) => {
    now.said.push(emitted as EmittedFrom<L>);
    saidSoFar.push(emitted as EmittedFrom<L>);
  });
  const failed: unknown[] = [];
  actor.subscribe({ error: (error) => failed.push(error) });
  return {
    actor,
    clock,
    saidSoFar,
    get said() {
      return now.said;
    },
    get told() {
      return now.told;
    },
    step(happen: () => void): void {
      now.said = [];
      now.told = [];
      happen();
      if (failed.length > 0) throw failed[0];
    },
    seen() {
      const { value, status, context, output, tags, _nodes } = actor.getSnapshot() as AnyMachineSnapshot;
      return { value, status, context, output, tags, nodes: _nodes.map(({ id }) => id).sort(), ...now };
    },
  };
}

const show = (seen: object): string => JSON.stringify(seen);
