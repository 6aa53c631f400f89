/** Whatever happens to leases: tokens are conserved, each thing is with one invocation, and every invocation gets one word. */
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  emptyLeases,
  type LeaseBook,
  type LeasesEvent,
  type Sandbox,
  type Step,
  step,
  type Told,
} from "../../../actors/frontend/leases/policy.ts";
import { refusal } from "../../../subjects/errors.ts";

const no = refusal("TooManyRequestsException", "no");

/** What a fair world does next; indices choose among what is open at that moment. */
const move = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("arrive" as const) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("answer" as const), at: fc.nat(20), granted: fc.nat(5) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("grant" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("fail" as const), functionError: fc.boolean() }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("finish" as const),
      at: fc.nat(20),
      alive: fc.boolean(),
      again: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("leave" as const), at: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("lose" as const), at: fc.nat(1) }) },
  {
    weight: 2,
    arbitrary: fc.constantFrom({ do: "recall" as const }, { do: "recount" as const }, { do: "tick" as const }),
  },
);
type Move = typeof move extends fc.Arbitrary<infer T> ? T : never;

/** The world around one front end's leases of one pool: what it has asked for, what runs, and each invocation's end. */
class World {
  book: LeaseBook = emptyLeases;
  readonly asks: number[] = [];
  readonly ends = new Map<string, number>();
  /** What each sandbox is doing, from the grant until it is given back. */
  readonly heldBy = new Map<string, string | undefined>();
  readonly running = new Map<string, Sandbox>();
  #arrived = 0;
  #granted = 0;
  tokensOut = 0;

  hear(event: LeasesEvent): Step {
    const next = step(this.book, event);
    this.book = next.book;
    for (const said of next.said) {
      if (said.type === "ask") this.asks.push(said.count);
      if (said.type === "release") this.tokensOut -= said.count;
      if (said.type === "giveBack") expect(this.heldBy.delete(said.sandbox.sandboxId)).toBe(true);
    }
    for (const told of next.told) this.#tell(told);
    return next;
  }

  #tell({ requestId, event }: Told): void {
    if (event.type === "lease.granted") {
      expect(this.heldBy.get(event.sandbox.sandboxId)).toBeUndefined();
      this.heldBy.set(event.sandbox.sandboxId, requestId);
      this.running.set(requestId, event.sandbox);
    }
    if (event.type === "lease.refused" || event.type === "lease.failed") this.end(requestId);
  }

  end(requestId: string): void {
    this.ends.set(requestId, (this.ends.get(requestId) ?? 0) + 1);
  }

  /** It gives up: what it has goes, and what becomes of that isn't known. */
  leave(requestId: string): void {
    if (this.running.has(requestId)) return this.#finish(requestId, false, false);
    this.end(requestId);
    this.hear({ type: "invocation.left", requestId });
  }

  #finish(requestId: string, alive: boolean, again: boolean): void {
    const sandbox = this.running.get(requestId) as Sandbox;
    this.running.delete(requestId);
    this.heldBy.set(sandbox.sandboxId, undefined);
    if (!again) this.end(requestId);
    this.hear({ type: "invocation.finished", requestId, sandbox, alive, again });
  }

  move(it: Move): void {
    switch (it.do) {
      case "arrive":
        this.ends.set(`q${this.#arrived}`, 0);
        return void this.hear({ type: "invocation.arrived", requestId: `q${this.#arrived++}` });
      case "answer": {
        const [asked] = this.asks.splice(it.at % Math.max(1, this.asks.length), 1);
        if (asked === undefined) return;
        const granted = Math.min(asked, it.granted);
        this.tokensOut += granted;
        return void this.hear({ type: "tokens.granted", asked, granted, refused: granted < asked ? no : undefined });
      }
      case "grant": {
        const sandbox = { sandboxId: `s${this.#granted++}`, workerId: `w${this.#granted % 2}` };
        this.heldBy.set(sandbox.sandboxId, undefined);
        return void this.hear({ type: "sandbox.granted", sandbox });
      }
      case "fail":
        return void this.hear({
          type: "sandbox.failed",
          refused: undefined,
          functionError: it.functionError ? "{}" : undefined,
        });
      case "finish": {
        const [requestId] = [[...this.running.keys()][it.at % Math.max(1, this.running.size)]];
        if (requestId !== undefined) this.#finish(requestId, it.alive, it.again);
        return;
      }
      case "leave": {
        const open = [...this.ends].filter(([, ends]) => ends === 0);
        const [requestId] = open[it.at % Math.max(1, open.length)] ?? [];
        if (requestId === undefined) return;
        return this.leave(requestId);
      }
      case "lose":
        for (const { sandboxId, workerId } of this.book.idle)
          if (workerId === `w${it.at}`) this.heldBy.delete(sandboxId);
        return void this.hear({ type: "worker.lost", workerId: `w${it.at}` });
      case "recall":
        return void this.hear({ type: "leases.recalled" });
      case "recount":
        return void this.hear({ type: "leases.recount" });
      case "tick":
        return void this.hear({ type: "leases.tick" });
    }
  }
}

const after = (moves: readonly Move[], check: (world: World) => void, each = false): void => {
  const world = new World();
  for (const it of moves) {
    world.move(it);
    if (each) check(world);
  }
  if (!each) check(world);
};
const moves = fc.array(move, { maxLength: 80 });
const runs = { numRuns: 500 };

test("tokens are conserved: held are those idle, those of invocations that wait for a sandbox, and those that run", () => {
  fc.assert(
    fc.property(moves, (all) =>
      after(
        all,
        ({ book, tokensOut, asks }) => {
          expect(book.tokens).toBe(book.idleTokens + book.withoutSandbox.length + book.running);
          expect(book.tokens).toBe(tokensOut);
          expect(book.asked).toBe(asks.reduce((sum, each) => sum + each, 0));
        },
        true,
      ),
    ),
    runs,
  );
});

test("a sandbox is with one invocation at a time, and is given back once", () => {
  fc.assert(
    fc.property(moves, (all) =>
      after(
        all,
        ({ book, heldBy, running }) => {
          const known = [...book.idle, ...running.values()].map(({ sandboxId }) => sandboxId).sort();
          expect(known).toEqual([...heldBy.keys()].sort());
          for (const [requestId, { sandboxId }] of running) expect(heldBy.get(sandboxId)).toBe(requestId);
          expect(book.running).toBe(running.size);
        },
        true,
      ),
    ),
    runs,
  );
});

test("nobody waits for what is at hand, and whatever is missing has been asked for", () => {
  fc.assert(
    fc.property(moves, (all) =>
      after(
        all,
        ({ book }) => {
          if (book.withoutToken.length > 0) expect(book.idleTokens).toBe(0);
          if (book.withoutSandbox.length > 0) expect(book.idle).toEqual([]);
          expect(book.asked).toBeGreaterThanOrEqual(book.withoutToken.length);
          expect(book.wanted).toBeGreaterThanOrEqual(book.withoutSandbox.length);
        },
        true,
      ),
    ),
    runs,
  );
});

test("given fair answers, every invocation that arrived ends exactly once", () => {
  fc.assert(
    fc.property(moves, (all) => {
      const world = new World();
      for (const it of all) world.move(it);
      for (let round = 0; round < 500; round++) {
        const { withoutToken, withoutSandbox, running } = world.book;
        if (withoutToken.length + withoutSandbox.length + running === 0) break;
        if (world.asks.length > 0) world.move({ do: "answer", at: 0, granted: 5 });
        if (withoutSandbox.length > 0) world.move({ do: "grant" });
        if (running > 0) world.move({ do: "finish", at: 0, alive: true, again: false });
      }
      expect([...world.ends.values()].filter((ends) => ends !== 1)).toEqual([]);
    }),
    runs,
  );
});

test("what nobody uses is given back after two ticks, all of it", () => {
  fc.assert(
    fc.property(moves, (all) => {
      const world = new World();
      for (const it of all) world.move(it);
      for (const [requestId, ends] of world.ends) if (ends === 0) world.leave(requestId);
      while (world.asks.length > 0) world.move({ do: "answer", at: 0, granted: 0 });
      for (let tick = 0; tick < 3; tick++) world.hear({ type: "leases.tick" });
      expect([world.tokensOut, world.heldBy.size]).toEqual([0, 0]);
    }),
    runs,
  );
});
