/**
 * The data plane as a whole, on a bus that is late, repeats and loses, with components that are killed and started again
 * while invocations come in. Checked at every moment: invariants 1, 2 and 4 of the design. A failing seed repeats exactly.
 */
import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { functionKey } from "../../subjects/function.ts";
import { ERROR } from "../../subjects/headers.ts";
import { Invoke } from "../../subjects/invoke.ts";
import { DEFAULT_ACCOUNT } from "../../subjects/tokens.ts";
import { functionRecord } from "../support/function-record.ts";
import { SimulatedBus } from "./bus.ts";
import { Fleet, type Part } from "./fleet.ts";
import { memoryBucket } from "./memory-bucket.ts";

const LIMIT = 6;
const RESERVED = 2;
const FUNCTIONS = { plain: undefined, other: undefined, reserved: RESERVED } as const;
const INVOCATIONS = 60;
const BUSY_MS = 15_000;
/** Longer than anything an invocation may wait for. */
const SETTLED_MS = 45_000;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"] });
  // xstate's development build takes one actor's effect that sends to another for an action calling assign().
  vi.spyOn(console, "warn").mockImplementation(() => {});
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** Numbers in [0, 1) from a seed. Source: mulberry32, Tommy Ettinger, public domain. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** What runs now. Breaking an invariant is noted where it happens: nothing thrown there would reach the test. */
class Running {
  readonly broken: string[] = [];
  most = 0;
  readonly #fnOf = new Map<string, string>();

  began(fn: string, sandboxId: string): void {
    if (this.#fnOf.has(sandboxId)) this.broken.push(`${sandboxId} runs two invocations`);
    this.#fnOf.set(sandboxId, fn);
    this.most = Math.max(this.most, this.#fnOf.size);
    const reserved = [...this.#fnOf.values()].filter((each) => each === "reserved").length;
    if (this.#fnOf.size > LIMIT) this.broken.push(`${this.#fnOf.size} run in an account of ${LIMIT}`);
    if (reserved > RESERVED) this.broken.push(`${reserved} run of a function with ${RESERVED}`);
    if (this.#fnOf.size - reserved > LIMIT - RESERVED) this.broken.push("the unreserved ones take what is reserved");
  }

  ended(sandboxId: string): void {
    this.#fnOf.delete(sandboxId);
  }
}

interface Scenario {
  readonly seed: number;
  readonly twice: number;
  readonly lost: number;
  readonly kills: ReadonlyArray<{ readonly at: number; readonly what: Mortal }>;
}

const MORTALS = ["counting", "placement", "workerManager", "worker", "frontend"] as const;
type Mortal = (typeof MORTALS)[number];

/** Runs one scenario; gives what was broken and how each invocation was answered. */
async function run({ seed, twice, lost, kills }: Scenario) {
  vi.setSystemTime(1_700_000_000_000);
  const random = seeded(seed);
  const witness = new Running();
  // A release or an invoke that came twice would count twice: both rely on NATS, which repeats nothing. The caller's
  // messages and the answers are not the platform's to repeat or to lose.
  const mayFail = (subject: string) => !/\.(release|invoke)(\.|$)|^_INBOX|^answer/.test(subject);
  const bus = new SimulatedBus({ random, delayMs: 10, twice, lost, mayFail });
  const functions = memoryBucket(
    Object.fromEntries(
      Object.entries(FUNCTIONS).map(([fn, reserved]) => [
        functionKey(DEFAULT_ACCOUNT, fn),
        functionRecord(fn, reserved),
      ]),
    ),
  );
  const fleet = new Fleet({ bus, random, functions, acct: DEFAULT_ACCOUNT, limit: LIMIT, witness }, memoryBucket());
  const parts: Record<Mortal, Part> = {
    placement: await fleet.placement(),
    counting: await fleet.counting(),
    workerManager: await fleet.workerManager(),
    worker: await fleet.worker(1024),
    frontend: await fleet.frontend(),
  };
  await fleet.worker(1024);
  await fleet.frontend();

  const caller = bus.line("caller");
  const answers = new Map<string, string[]>();
  caller.subscribe("answer.*", ({ subject, header }) => void answers.get(subject)?.push(header(ERROR) ?? "ok"));
  const names = Object.keys(FUNCTIONS);
  for (let each = 0; each < INVOCATIONS; each++) {
    const fn = names[Math.floor(random() * names.length)] as string;
    const replyTo = `answer.${each}`;
    answers.set(replyTo, []);
    const invoke = () =>
      caller.publish({ subject: Invoke.subject({ acct: DEFAULT_ACCOUNT, fn }), payload: "{}", replyTo });
    setTimeout(invoke, 2000 + random() * BUSY_MS);
  }
  for (const { at, what } of kills) {
    setTimeout(() => {
      parts[what].kill();
      // What supervises it takes a moment to notice.
      setTimeout(async () => {
        parts[what] = what === "worker" ? await fleet.worker(1024) : await fleet[what]();
      }, 500);
    }, 2000 + at);
  }
  await vi.advanceTimersByTimeAsync(2000 + BUSY_MS + SETTLED_MS);
  vi.clearAllTimers();
  return { broken: witness.broken, most: witness.most, answers };
}

const scenario: fc.Arbitrary<Scenario> = fc.record({
  seed: fc.nat(),
  twice: fc.constantFrom(0, 0.05),
  lost: fc.constantFrom(0, 0.02),
  kills: fc.array(fc.record({ at: fc.nat(BUSY_MS), what: fc.constantFrom(...MORTALS) }), { maxLength: 3 }),
});

test("in fair weather every invocation runs or is throttled by name, and the limits are reached, not passed", async () => {
  const { broken, most, answers } = await run({ seed: 1, twice: 0, lost: 0, kills: [] });
  expect(broken).toEqual([]);
  expect(most).toBeGreaterThan(RESERVED);
  for (const answer of answers.values()) expect(answer.join()).toMatch(/^(ok|TooManyRequestsException: .*)$/);
  expect([...answers.values()].filter(([answer]) => answer === "ok").length).toBeGreaterThan(INVOCATIONS / 2);
});

test("in any weather a sandbox runs one invocation at a time, no limit is passed, and every caller is answered", async () => {
  await fc.assert(
    fc.asyncProperty(scenario, async (it) => {
      const { broken, answers } = await run(it);
      expect(broken).toEqual([]);
      // Whom a killed front end had heard waits until its own time is up, as with any request on NATS.
      if (it.kills.some(({ what }) => what === "frontend")) return;
      // A front end whose worker's word was lost refuses what the worker has answered: the caller has taken the first.
      expect([...answers].filter(([, each]) => each.length === 0)).toEqual([]);
    }),
    { numRuns: 25, timeout: 60_000 },
  );
}, 120_000);
