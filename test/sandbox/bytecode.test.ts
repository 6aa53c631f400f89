/** When a sandbox is asked for its bytecode, and what becomes of the answer. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type BytecodeOfLife, beginWithBytecode, type KeptBytecode } from "../../actors/sandbox/bytecode.ts";
import { HAND_OVER_MS, handOverAfterMs } from "../../actors/sandbox/policy.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A life, and what was written to its runtime by type. */
function life(bytes?: Buffer, isWanted = true) {
  const claim = { fulfil: vi.fn(), giveBack: vi.fn() };
  const kept = {
    read: async () => bytes,
    claim: vi.fn(() => (isWanted ? claim : undefined)),
    failed: vi.fn(),
  } satisfies KeptBytecode;
  const written: number[] = [];
  const write = (frame: Buffer) => written.push(frame[4] ?? 0) > 0;
  const of = beginWithBytecode(kept, bytes, { write }) as BytecodeOfLife;
  return { of, claim, kept, written };
}
const [BEGINS, ASKED] = [0x04, 0x05];

test("it is asked for in the first pause after an answer, once, and what comes is kept", () => {
  const { of, claim, written } = life();
  of.ready();
  vi.advanceTimersByTime(60_000);
  expect(written, "never before the first answer").toEqual([BEGINS]);
  of.answered();
  vi.advanceTimersByTime(handOverAfterMs(0) - 1);
  expect(written).toEqual([BEGINS]);
  vi.advanceTimersByTime(1);
  expect(written).toEqual([BEGINS, ASKED]);
  of.heard(Buffer.from("it"));
  expect(claim.fulfil).toHaveBeenCalledExactlyOnceWith(Buffer.from("it"));
  of.answered();
  vi.advanceTimersByTime(60_000);
  expect(written).toEqual([BEGINS, ASKED]);
});

test("calls that follow each other quickly, or a freeze, put it off; calls that never cease don't for ever", () => {
  const { of, written } = life();
  for (let ms = 0; ms <= 2000; ms += 20) {
    of.busy();
    of.answered();
    vi.advanceTimersByTime(20);
  }
  expect(written).toEqual([BEGINS]);
  of.rest(() => {});
  vi.advanceTimersByTime(60_000);
  expect(written, "nothing is asked of who is busy or frozen").toEqual([BEGINS]);
  of.answered();
  vi.advanceTimersByTime(0);
  expect(written).toEqual([BEGINS, ASKED]);
});

test("a freeze waits for what was asked for, not for ever, and not where a call comes first", () => {
  for (const end of ["answer", "time", "call", "end"] as const) {
    const { of, claim } = life();
    const freeze = vi.fn();
    of.answered();
    vi.advanceTimersByTime(handOverAfterMs(0));
    of.rest(freeze);
    vi.advanceTimersByTime(HAND_OVER_MS - 1);
    expect(freeze).not.toHaveBeenCalled();
    if (end === "answer") of.heard(Buffer.from("it"));
    if (end === "call") of.busy();
    if (end === "end") of.over({ crashed: false });
    vi.advanceTimersByTime(end === "answer" ? 0 : 60_000);
    expect(freeze, end).toHaveBeenCalledTimes(end === "answer" || end === "time" ? 1 : 0);
    expect(claim.giveBack, end).toHaveBeenCalledTimes(end === "time" || end === "end" ? 1 : 0);
    of.rest(freeze);
    expect(freeze.mock.calls.length > 0, "later it is frozen at once").toBe(end !== "call");
  }
  const { of } = life();
  const freeze = vi.fn();
  of.rest(freeze);
  expect(freeze).toHaveBeenCalledOnce();
});

test.each([
  ["one that began with some", life.bind(null, Buffer.from("kept"))],
  ["one where nobody wants any", life.bind(null, undefined, false)],
])("%s is never asked", (_, make) => {
  const { of, written } = make();
  of.answered();
  vi.advanceTimersByTime(60_000);
  expect(written).toEqual([BEGINS]);
});

test("what wasn't asked for is dropped, and what is owed at the end is given back", () => {
  const { of, claim, written } = life();
  of.heard(Buffer.from("forged"));
  expect(claim.fulfil).not.toHaveBeenCalled();
  of.answered();
  vi.advanceTimersByTime(handOverAfterMs(0));
  of.over({ crashed: true });
  expect(claim.giveBack).toHaveBeenCalledOnce();
  expect(written).toEqual([BEGINS, ASKED]);
});

test("an end between an answer and the question leaves nothing to be asked", () => {
  const { of, kept } = life();
  of.answered();
  of.over({ crashed: false });
  vi.advanceTimersByTime(60_000);
  expect(kept.claim).not.toHaveBeenCalled();
});

test.each([
  {
    what: "crashes before it is ready, having begun with some",
    bytes: Buffer.from("x"),
    isReady: false,
    crashed: true,
    told: 1,
  },
  {
    what: "crashes before it is ready, having begun without",
    bytes: undefined,
    isReady: false,
    crashed: true,
    told: 0,
  },
  { what: "crashes later", bytes: Buffer.from("x"), isReady: true, crashed: true, told: 0 },
  { what: "is stopped before it is ready", bytes: Buffer.from("x"), isReady: false, crashed: false, told: 0 },
])("a life that $what: it is told $told times", ({ bytes, isReady, crashed, told }) => {
  const { of, kept } = life(bytes);
  if (isReady) of.ready();
  of.over({ crashed });
  expect(kept.failed).toHaveBeenCalledTimes(told);
});
