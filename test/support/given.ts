/**
 * Reads a machine as a sentence: given(machine, input).when(event) → state, what it said, what it told its process.
 * Nothing waits: the clock is simulated and moves only by `after`.
 */
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
  const clock = new SimulatedClock();
  const saidSoFar: Array<EmittedFrom<L>> = [];
  let said: Array<EmittedFrom<L>> = [];
  let told: Told[] = [];
  const machine = typeof logic === "function" ? logic((each) => told.push(each)) : logic;
  const actor = createActor(machine, { ...({ input } as { input: never }), clock });
  actor.on("*", (emitted) => {
    said.push(emitted as EmittedFrom<L>);
    saidSoFar.push(emitted as EmittedFrom<L>);
  });
  const failed: unknown[] = [];
  actor.subscribe({ error: (error) => failed.push(error) });
  const step = (happen: () => void): void => {
    said = [];
    told = [];
    happen();
    if (failed.length > 0) throw failed[0];
  };
  step(() => actor.start());
  const now = () => actor.getSnapshot() as AnyMachineSnapshot;
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
      return said;
    },
    get saidSoFar() {
      return saidSoFar;
    },
    get told() {
      return told;
    },
    when(...events) {
      step(() => {
        for (const event of events) actor.send(event);
      });
      return this;
    },
    after(ms) {
      step(() => void clock.increment(ms));
      return this;
    },
  };
}
