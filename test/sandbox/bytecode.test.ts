/** When a sandbox is asked for its bytecode, and what becomes of the answer. */
import { expect, test, vi } from "vitest";
import { type BytecodeOfLife, beginWithBytecode, type KeptBytecode } from "../../actors/sandbox/bytecode.ts";

interface Given {
  readonly bytes?: Buffer | undefined;
  readonly isWanted?: boolean;
  readonly mayMake?: boolean;
}

/** A life, and what was written to its runtime by type. */
function life({ bytes, isWanted = true, mayMake = true }: Given = {}) {
  const claim = { fulfil: vi.fn(), giveBack: vi.fn() };
  const kept = {
    read: async () => bytes,
    claim: vi.fn(() => (isWanted ? claim : undefined)),
    failed: vi.fn(),
  } satisfies KeptBytecode;
  const written: number[] = [];
  const write = (frame: Buffer) => written.push(frame[4] ?? 0) > 0;
  const of = beginWithBytecode(kept, bytes, { write }, mayMake) as BytecodeOfLife;
  return { of, claim, kept, written };
}
const [BEGINS, ASKED] = [0x04, 0x05];

test("it is asked for when the life begins, once, and what comes before it is ready is kept", () => {
  const { of, claim, written } = life();
  expect(written).toEqual([ASKED]);
  of.heard(Buffer.from("it"));
  of.heard(Buffer.from("more"));
  of.ready();
  expect(claim.fulfil).toHaveBeenCalledExactlyOnceWith(Buffer.from("it"));
  expect(claim.giveBack).not.toHaveBeenCalled();
});

test("what comes once an event may have come is dropped, and another life may make it", () => {
  const { of, claim } = life();
  of.ready();
  of.heard(Buffer.from("forged"));
  expect(claim.fulfil).not.toHaveBeenCalled();
  expect(claim.giveBack).toHaveBeenCalledOnce();
});

test.each([
  ["one that begins with some", { bytes: Buffer.from("kept") }, [BEGINS]],
  ["one where nobody wants any", { isWanted: false }, []],
  ["a second life in a place that has seen events", { mayMake: false }, []],
])("%s is never asked, and what it says is dropped", (_, given, begins) => {
  const { of, claim, written } = life(given);
  expect(written).toEqual(begins);
  of.heard(Buffer.from("forged"));
  expect(claim.fulfil).not.toHaveBeenCalled();
});

test("what is owed at the end is given back", () => {
  const { of, claim } = life();
  of.over({ failed: false });
  of.heard(Buffer.from("late"));
  of.over({ failed: true });
  expect(claim.giveBack).toHaveBeenCalledOnce();
  expect(claim.fulfil).not.toHaveBeenCalled();
});

const some = { bytes: Buffer.from("x") };
test.each([
  { what: "fails before it is ready, having begun with some", given: some, isReady: false, failed: true, told: 1 },
  { what: "fails before it is ready, owing some", given: {}, isReady: false, failed: true, told: 1 },
  { what: "fails before it is ready, without", given: { isWanted: false }, isReady: false, failed: true, told: 0 },
  { what: "fails later", given: some, isReady: true, failed: true, told: 0 },
  { what: "is stopped before it is ready", given: some, isReady: false, failed: false, told: 0 },
])("a life that $what: it is told $told times", ({ given, isReady, failed, told }) => {
  const { of, kept } = life(given);
  if (isReady) of.ready();
  of.over({ failed });
  expect(kept.failed).toHaveBeenCalledTimes(told);
});
