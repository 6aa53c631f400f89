/** One function's life, without a clock or a network: what a step leaves to do, and where it leads. */
import { describe, expect, it } from "vitest";
import { initialTransition, type SnapshotFrom, transition } from "xstate";
import { stateName } from "../../actors/bus/transitions.ts";
import type { Command, Outcome } from "../../actors/control-plane/commands.ts";
import { type FunctionEvent, functionMachine, lost } from "../../actors/control-plane/machine.ts";
import { refusal } from "../../subjects/errors.ts";
import type { FunctionRecord } from "../../subjects/function.ts";
import { COMMANDS, commandOf, fact, LIVES, recordAfter, recordIn } from "./given.ts";

type Snapshot = SnapshotFrom<typeof functionMachine>;

interface Step {
  readonly snapshot: Snapshot;
  readonly state: string;
  /** What was said to callers: `reply` or `refuse` with the caller. */
  readonly said: readonly string[];
  /** Effects begun. */
  readonly begun: readonly string[];
}

/** xstate's own actions, as far as these tests look at them; its types leave emitting out. */
interface Action {
  readonly type: string;
  readonly params?: { readonly src?: string; readonly id?: string; readonly event?: { type: string; to?: string } };
}

function stepOf([snapshot, actions]: readonly [Snapshot, readonly unknown[]]): Step {
  const done = actions as readonly Action[];
  return {
    snapshot,
    state: stateName(snapshot.value),
    said: done
      .filter(({ type }) => type === "xstate.emit")
      .map(({ params }) => `${params?.event?.type} ${params?.event?.to}`),
    begun: done.filter(({ type }) => type === "xstate.spawnChild").map(({ params }) => params?.id ?? ""),
  };
}

const born = (): Step => stepOf(initialTransition(functionMachine, { acct: "000000000000", fn: "f" }));
const when = ({ snapshot }: Step, event: FunctionEvent): Step => stepOf(transition(functionMachine, snapshot, event));
const kept = (step: Step, outcome: Outcome): Step => when(step, { type: "command.kept", outcome });
const asked = (step: Step, type: Parameters<typeof commandOf>[0], to = "_INBOX.caller"): Step =>
  when(step, { ...commandOf(type), to } as Command);

const answered = (record: FunctionRecord | undefined): Outcome => ({ kind: "answered", body: {}, record });
const written = (record: FunctionRecord): Outcome => ({ kind: "written", body: {}, record });

/** At rest in a state, as it is after a look at the record. */
function at(life: (typeof LIVES)[number]): Step {
  const step = kept(asked(born(), "function.resume"), answered(recordIn(life)));
  return step;
}

const STATES = {
  absent: "gone",
  pending: "pending.verifying",
  active: "active",
  updating: "updating.verifying",
  failed: "failed",
  deleting: "deleting.erasing",
} as const;

describe("a function born from its record", () => {
  it.each(LIVES)("that is %s takes up what it says", (life) => expect(at(life).state).toBe(STATES[life]));
});

describe("in every state every command is taken into line and answered", () => {
  const states = LIVES.filter((life) => life !== "absent" && life !== "deleting");
  it.each(states.flatMap((life) => COMMANDS.map((type) => [life, type] as const)))("%s, %s", (life, type) => {
    const rest = at(life);
    const begun = asked(rest, type);
    expect(begun.begun).toEqual(["keep"]);
    expect(begun.snapshot.context.line).toHaveLength(1);
    const refused = { kind: "refused", refusal: refusal("ResourceConflictException", "no"), record: recordIn(life) };
    const done = kept(begun, { ...refused, record: rest.snapshot.context.record } as Outcome);
    expect(done.said).toEqual(["refuse _INBOX.caller"]);
    expect(done.state).toBe(rest.state);
    expect(done.snapshot.context.line).toEqual([]);
  });

  it.each(COMMANDS)("%s waits while the function is being removed, and is taken up then", (type) => {
    const waiting = asked(at("deleting"), type);
    expect(waiting.begun).toEqual([]);
    expect(waiting.snapshot.context.line).toHaveLength(1);
  });
});

describe("commands", () => {
  it("are worked on one at a time, in the order they came", () => {
    const three = ["a", "b", "c"].reduce((step, to) => asked(step, "tags.add", to), at("active"));
    expect(three.snapshot.context.line.map((command) => command.to)).toEqual(["a", "b", "c"]);
    const record = three.snapshot.context.record as FunctionRecord;
    const one = kept(three, written(record));
    expect([one.said, one.begun]).toEqual([["reply a"], ["keep"]]);
    const two = kept(one, written(record));
    expect([two.said, two.begun]).toEqual([["reply b"], ["keep"]]);
    const last = kept(two, written(record));
    expect([last.said, last.begun]).toEqual([["reply c"], []]);
  });

  it("are answered with a ServiceException when the bucket can't be asked, and the next one is tried", () => {
    const two = asked(asked(at("active"), "tags.add", "a"), "tags.add", "b");
    const failed = kept(two, lost(new Error("no server")));
    expect([failed.state, failed.said, failed.begun]).toEqual(["active", ["refuse a"], ["keep"]]);
  });

  it("to a function that isn't there leave no actor behind", () => {
    const missing = {
      kind: "refused",
      refusal: refusal("ResourceNotFoundException", "no"),
      record: undefined,
    } as const;
    const step = kept(asked(born(), "function.update-code"), missing);
    expect([step.state, step.snapshot.status, step.said]).toEqual(["gone", "done", ["refuse _INBOX.caller"]]);
  });

  it("that wait behind one to a missing function are still answered", () => {
    const two = asked(asked(born(), "function.update-code", "a"), "function.create", "b");
    const missing = {
      kind: "refused",
      refusal: refusal("ResourceNotFoundException", "no"),
      record: undefined,
    } as const;
    const one = kept(two, missing);
    expect([one.state, one.said, one.begun]).toEqual(["unread", ["refuse a"], ["keep"]]);
    expect(kept(one, written(recordIn("pending") as FunctionRecord)).state).toBe("pending.verifying");
  });
});

const verified = (step: Step): Step =>
  when(step, {
    type: "xstate.done.actor.0.function.pending.verifying",
    output: fact("package.verified", step.snapshot.context.record as FunctionRecord),
  } as unknown as FunctionEvent);

describe("a pending function", () => {
  it("keeps what was found out like any command, and is active once that is written", () => {
    const settling = verified(at("pending"));
    expect([settling.state, settling.begun]).toEqual(["pending.settling", ["keep"]]);
    const record = settling.snapshot.context.record as FunctionRecord;
    expect(kept(settling, written(recordAfter(record, fact("package.verified", record)))).state).toBe("active");
  });

  it("doesn't begin anew because of a command that changes nothing of that", () => {
    const pending = at("pending");
    const tagged = kept(
      asked(pending, "tags.add"),
      written(recordAfter(pending.snapshot.context.record, commandOf("tags.add"))),
    );
    expect([tagged.state, tagged.begun]).toEqual(["pending.verifying", []]);
  });

  it("looks again after a while when what was found out couldn't be kept", () => {
    const waiting = kept(verified(at("pending")), lost(new Error("no server")));
    expect([waiting.state, waiting.snapshot.context.line]).toEqual(["pending.waiting", []]);
  });

  it("follows a record that somebody else has moved on", () => {
    const refused: Outcome = {
      kind: "refused",
      refusal: refusal("ResourceConflictException", "no"),
      record: recordIn("failed"),
    };
    expect(kept(asked(at("pending"), "function.update-code"), refused).state).toBe("failed");
  });
});

describe("deleting", () => {
  const erased = {
    type: "xstate.done.actor.0.function.deleting.erasing",
    output: undefined,
  } as unknown as FunctionEvent;
  const deletion = () => kept(asked(at("active"), "function.delete"), written(recordIn("deleting") as FunctionRecord));

  it("is answered when nothing is left, not before", () => {
    const step = deletion();
    expect([step.state, step.said]).toEqual(["deleting.erasing", []]);
    const gone = when(step, erased);
    expect([gone.state, gone.said]).toEqual(["gone", ["reply _INBOX.caller"]]);
  });

  it("lets whoever waited behind it have the name", () => {
    const free = when(asked(deletion(), "function.create", "next"), erased);
    expect([free.state, free.said, free.begun]).toEqual(["unread", ["reply _INBOX.caller"], ["keep"]]);
    expect(free.snapshot.context.line.map(({ to }) => to)).toEqual(["next"]);
  });
});
