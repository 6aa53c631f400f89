/**
 * What one front end holds for one function version, and who gets it: tokens of Counting (the right to run one) and
 * sandboxes of the worker manager. Pure: a book and what happened give the next book and what to say.
 *
 * A token is held from its grant to its release; a sandbox runs one invocation at a time; whoever came first is served
 * first; and nothing is asked for twice while it is on its way.
 */
import { type Refusal, refusal } from "../../../subjects/errors.ts";

export interface Sandbox {
  readonly sandboxId: string;
  readonly workerId: string;
}

interface IdleSandbox extends Sandbox {
  readonly idleTicks: number;
}

export interface LeaseBook {
  /** Tokens held: those of invocations that wait for a sandbox or run, and idle ones. */
  readonly tokens: number;
  readonly idleTokens: number;
  /** No more than so many may be held; `null` means as many as are granted. */
  readonly cap: number | null;
  /** Ticks for which tokens have been idle. */
  readonly tokenTicks: number;
  /** Tokens asked for and not yet answered. */
  readonly asked: number;
  /** Counting did not answer: it is asked again at the next tick, not at once. */
  readonly resting: boolean;
  /** Sandboxes the worker manager was last told are wanted. */
  readonly wanted: number;
  readonly withoutToken: readonly string[];
  readonly withoutSandbox: readonly string[];
  /** Most recently used last. */
  readonly idle: readonly IdleSandbox[];
  /** How many run: in which sandbox, the invocation itself knows. */
  readonly running: number;
}

export const emptyLeases: LeaseBook = {
  tokens: 0,
  idleTokens: 0,
  cap: null,
  tokenTicks: 0,
  asked: 0,
  resting: false,
  wanted: 0,
  withoutToken: [],
  withoutSandbox: [],
  idle: [],
  running: 0,
};

export type LeasesEvent =
  | { type: "invocation.arrived"; requestId: string }
  /** It gave up waiting. */
  | { type: "invocation.left"; requestId: string }
  /** Of one that was granted `sandbox`. `alive`: it takes another one. `again`: it refused, and another sandbox is wanted. */
  | { type: "invocation.finished"; requestId: string; sandbox: Sandbox; alive: boolean; again: boolean }
  | { type: "tokens.granted"; asked: number; granted: number; refused: Refusal | undefined }
  | { type: "sandbox.granted"; sandbox: Sandbox }
  | { type: "sandbox.failed"; refused: Refusal | undefined; functionError: string | undefined }
  /** Of one account's function, or all its functions; whose leases these are is looked at before. */
  | { type: "leases.recalled"; acct?: string; fn?: string | undefined; atMost?: number | null | undefined }
  /** Whoever was told of our needs may have lost its memory. */
  | { type: "leases.recount" }
  | { type: "worker.lost"; workerId: string }
  | { type: "leases.tick" };

export type LeasesSaid =
  | { type: "ask"; count: number }
  /** `ahead`: another one is about to be wanted. */
  | { type: "want"; count: number; ahead?: true }
  | { type: "release"; count: number }
  | { type: "giveBack"; sandbox: Sandbox; alive: boolean };

/** Told to an invocation of this process. */
export type Told =
  /** It has a token and waits for a sandbox; not said where the sandbox is at hand. */
  | { requestId: string; event: { type: "lease.admitted" } }
  | { requestId: string; event: { type: "lease.granted"; sandbox: Sandbox } }
  | { requestId: string; event: { type: "lease.refused"; refusal: Refusal } }
  | { requestId: string; event: { type: "lease.failed"; functionError: string } };

export interface Step {
  readonly book: LeaseBook;
  readonly said: readonly LeasesSaid[];
  readonly told: readonly Told[];
}

/** Ticks after which what nobody uses is given back. */
const IDLE_TICKS = 2;

export function step(book: LeaseBook, event: LeasesEvent): Step {
  const draft = new Draft(book);
  draft.hear(event);
  return draft.settled();
}

export const isUnused = ({ tokens, asked, wanted, withoutToken, running, idle }: LeaseBook): boolean =>
  tokens === 0 && asked === 0 && wanted === 0 && withoutToken.length === 0 && running === 0 && idle.length === 0;

class Draft {
  readonly #said: LeasesSaid[] = [];
  readonly #told: Told[] = [];
  #book: LeaseBook;

  constructor(book: LeaseBook) {
    this.#book = book;
  }

  #set(change: Partial<LeaseBook>): void {
    this.#book = { ...this.#book, ...change };
  }

  hear(event: LeasesEvent): void {
    const book = this.#book;
    switch (event.type) {
      case "invocation.arrived":
        return this.#set({ withoutToken: [...book.withoutToken, event.requestId] });
      case "invocation.left":
        return this.#left(event.requestId);
      case "invocation.finished":
        return this.#finished(event.requestId, event.sandbox, event.alive && !event.again, event.again);
      case "tokens.granted":
        return this.#granted(event.asked, event.granted, event.refused);
      case "sandbox.granted":
        this.#set({ wanted: Math.max(0, book.wanted - 1) });
        // Who was to have it has got another meanwhile: somebody else may wait for it.
        if (book.withoutSandbox.length + book.withoutToken.length === 0)
          return void this.#said.push({ type: "giveBack", sandbox: event.sandbox, alive: true });
        return this.#set({ idle: [...book.idle, { ...event.sandbox, idleTicks: 0 }] });
      case "sandbox.failed":
        return this.#failed(event.refused, event.functionError);
      case "leases.recalled":
        if (event.atMost !== undefined) this.#set({ cap: event.atMost });
        return this.#giveBackIdle(0);
      case "leases.recount":
        return this.#set({ wanted: 0 });
      case "worker.lost":
        return this.#set({ idle: book.idle.filter(({ workerId }) => workerId !== event.workerId) });
      case "leases.tick":
        this.#set({
          tokenTicks: book.idleTokens > 0 ? book.tokenTicks + 1 : 0,
          idle: book.idle.map((each) => ({ ...each, idleTicks: each.idleTicks + 1 })),
          // What is wanted is said again every tick: the last time may have been lost, or whoever heard it.
          wanted: 0,
          resting: false,
        });
        return this.#giveBackIdle(IDLE_TICKS);
    }
  }

  /** Serves whoever can be served from what is at hand, then asks for what is missing. */
  settled(): Step {
    this.#keepToCap();
    const admitted = this.#admit();
    const granted = this.#assign();
    for (const requestId of admitted) {
      if (!granted.includes(requestId)) this.#told.push({ requestId, event: { type: "lease.admitted" } });
    }
    this.#askForMore();
    return { book: this.#book, said: this.#said, told: this.#told };
  }

  #keepToCap(): void {
    const { cap, tokens, idleTokens } = this.#book;
    const count = cap === null ? 0 : Math.min(idleTokens, tokens - cap);
    if (count <= 0) return;
    this.#said.push({ type: "release", count });
    this.#set({ tokens: tokens - count, idleTokens: idleTokens - count });
  }

  #admit(): readonly string[] {
    const { withoutToken, idleTokens, withoutSandbox } = this.#book;
    if (withoutToken.length === 0 || idleTokens === 0) return [];
    const admitted = withoutToken.slice(0, idleTokens);
    this.#set({
      withoutToken: withoutToken.slice(admitted.length),
      idleTokens: idleTokens - admitted.length,
      withoutSandbox: [...withoutSandbox, ...admitted],
    });
    return admitted;
  }

  #assign(): readonly string[] {
    const { withoutSandbox, idle } = this.#book;
    const count = Math.min(withoutSandbox.length, idle.length);
    if (count === 0) return [];
    for (let each = 0; each < count; each++) {
      const requestId = withoutSandbox[each] as string;
      const { sandboxId, workerId } = idle[idle.length - 1 - each] as IdleSandbox;
      this.#told.push({ requestId, event: { type: "lease.granted", sandbox: { sandboxId, workerId } } });
    }
    this.#set({
      withoutSandbox: withoutSandbox.slice(count),
      idle: idle.slice(0, idle.length - count),
      running: this.#book.running + count,
    });
    return withoutSandbox.slice(0, count);
  }

  #askForMore(): void {
    const { withoutToken, asked, resting, withoutSandbox, wanted, idle } = this.#book;
    const tokens = resting ? 0 : withoutToken.length - asked;
    if (tokens > 0) {
      this.#said.push({ type: "ask", count: tokens });
      this.#set({ asked: asked + tokens });
    }
    // While Counting thinks about it, the worker manager can look for room.
    const isAhead = tokens > 0 && withoutToken.length > idle.length;
    if (isAhead || withoutSandbox.length > wanted || (withoutSandbox.length === 0 && wanted > 0)) {
      this.#said.push({ type: "want", count: withoutSandbox.length, ...(isAhead ? { ahead: true } : {}) });
      this.#set({ wanted: withoutSandbox.length });
    }
  }

  #left(requestId: string): void {
    const { withoutToken, withoutSandbox, idleTokens } = this.#book;
    if (withoutToken.includes(requestId)) {
      return this.#set({ withoutToken: withoutToken.filter((each) => each !== requestId) });
    }
    if (!withoutSandbox.includes(requestId)) return;
    const rest = withoutSandbox.filter((each) => each !== requestId);
    this.#set({ withoutSandbox: rest, idleTokens: idleTokens + 1, tokenTicks: 0 });
  }

  #finished(requestId: string, sandbox: Sandbox, isFree: boolean, again: boolean): void {
    const { running, idle, withoutSandbox, idleTokens } = this.#book;
    if (!isFree) this.#said.push({ type: "giveBack", sandbox, alive: false });
    this.#set({
      running: running - 1,
      idle: isFree ? [...idle, { ...sandbox, idleTicks: 0 }] : idle,
      ...(again ? { withoutSandbox: [requestId, ...withoutSandbox] } : { idleTokens: idleTokens + 1, tokenTicks: 0 }),
    });
  }

  #granted(asked: number, granted: number, refused: Refusal | undefined): void {
    const book = this.#book;
    const missing = asked - granted;
    this.#set({
      asked: book.asked - asked,
      tokens: book.tokens + granted,
      idleTokens: book.idleTokens + granted,
      tokenTicks: 0,
    });
    if (missing === 0 || refused === undefined) return;
    // Nobody said no: whoever waits goes on waiting until its own time is up.
    if (refused.name === "ServiceException") return this.#set({ resting: true });
    // Those first in line get what was granted; the ones behind them are who finds none.
    const { withoutToken, idleTokens } = this.#book;
    for (const requestId of withoutToken.slice(idleTokens, idleTokens + missing)) {
      this.#told.push({ requestId, event: { type: "lease.refused", refusal: refused } });
    }
    this.#set({ withoutToken: [...withoutToken.slice(0, idleTokens), ...withoutToken.slice(idleTokens + missing)] });
  }

  #failed(refused: Refusal | undefined, functionError: string | undefined): void {
    const { withoutSandbox, wanted, idleTokens } = this.#book;
    const [requestId, ...rest] = withoutSandbox;
    this.#set({ wanted: Math.max(0, wanted - 1) });
    if (requestId === undefined) return;
    if (functionError !== undefined) {
      this.#told.push({ requestId, event: { type: "lease.failed", functionError } });
    } else {
      const why = refused ?? refusal("ServiceException", "the sandbox could not be started");
      this.#told.push({ requestId, event: { type: "lease.refused", refusal: why } });
    }
    this.#set({ withoutSandbox: rest, idleTokens: idleTokens + 1, tokenTicks: 0 });
  }

  #giveBackIdle(ticks: number): void {
    const { idle, tokens, idleTokens, tokenTicks } = this.#book;
    const tired = idle.filter((each) => each.idleTicks >= ticks);
    for (const { sandboxId, workerId } of tired) {
      this.#said.push({ type: "giveBack", sandbox: { sandboxId, workerId }, alive: true });
    }
    this.#set({ idle: idle.filter((each) => each.idleTicks < ticks) });
    if (idleTokens === 0 || tokenTicks < ticks) return;
    this.#said.push({ type: "release", count: idleTokens });
    this.#set({ tokens: tokens - idleTokens, idleTokens: 0 });
  }
}
