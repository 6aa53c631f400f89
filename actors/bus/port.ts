/**
 * What the rest of the bus needs of a network. NATS is one implementation (nats.ts); a deterministic one can stand in for
 * it, so nothing above this port may reach around it.
 */
export interface Message {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly replyTo: string | undefined;
  header(name: string): string | undefined;
  /** The network's own word in place of an answer: nobody listens where the message that asks for it went. */
  readonly isNobody?: boolean;
  /** Every header by its name as sent, where the network tells them all. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Something to publish. `replyTo` asks whoever hears it to answer there. */
export interface Said {
  readonly subject: string;
  readonly payload: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  readonly replyTo?: string;
  /** Somebody waits for it: if it can't be sent, a refusal that says so is sent in its place. */
  readonly isAnswer?: boolean;
  /** Nobody waits for it: it may leave a moment later, with what is said next. It overtakes nothing and nothing overtakes it. */
  readonly isNews?: boolean;
  /** For the statistics, where it answers a request: what went wrong. */
  readonly error?: string;
}

export interface Subscription {
  /** No message is delivered any more once this resolves; those received before it have been. */
  drain(): Promise<void>;
}

export interface Network {
  /** `heard` must not throw. With a `queue`, one member of the group hears each message. */
  subscribe(subject: string, heard: (message: Message) => void, queue?: string): Subscription;
  /** Never throws and never blocks; what can't be sent is lost, and so is everything while disconnected, as core NATS says. */
  publish(said: Said): void;
  /** Resolves when the server has it. Rejects when it can't be sent. */
  deliver(said: Said): Promise<void>;
  /** Resolves with the reply. Rejects with `NoAnswer` when nobody listens or nothing came in time. */
  request(said: Said, timeoutMs: number): Promise<Message>;
  /** Everything published so far has reached the server. */
  flush(): Promise<void>;
}

export class NoAnswer extends Error {
  override readonly name = "NoAnswer";
  /** Nobody listens: that is known at once. */
  readonly isNobody: boolean;

  constructor(message: string, { isNobody = false } = {}) {
    super(message);
    this.isNobody = isNobody;
  }
}

/** Where a component's time comes from: injected, so that a simulator can own it. */
export interface Clock {
  /** Epoch milliseconds. */
  now(): number;
  /** Monotonic microseconds, for durations. */
  us(): number;
  /** Calls `back` every so often until it is stopped; does not keep the process alive. */
  every(ms: number, back: () => void): { stop(): void };
}

export const systemClock: Clock = {
  now: () => Date.now(),
  us: () => performance.now() * 1000,
  every(ms, back) {
    const timer = setInterval(back, ms);
    timer.unref();
    return { stop: () => clearInterval(timer) };
  },
};
