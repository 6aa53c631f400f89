/**
 * Honest numbers for `nats micro stats`: a request counts when it is answered, its time is from arrival to answer, and a
 * refusal counts as an error. It also knows which requests are still open, so that a stopping component can refuse them.
 * Source: NATS ADR-32.
 */
import type { Clock } from "./port.ts";

export interface EndpointStatistics {
  readonly name: string;
  readonly subject: string;
  readonly queue: string;
  requests: number;
  errors: number;
  processingUs: number;
  lastError: string;
  /** What else there is to say of it. */
  data?: () => unknown;
}

interface Open {
  readonly endpoint: EndpointStatistics;
  readonly sinceUs: number;
}

export class Statistics {
  readonly endpoints: EndpointStatistics[] = [];
  readonly #open = new Map<string, Open>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  endpoint(name: string, subject: string, queue: string | undefined): EndpointStatistics {
    const made: EndpointStatistics = {
      name,
      subject,
      queue: queue ?? "",
      requests: 0,
      errors: 0,
      processingUs: 0,
      lastError: "",
    };
    this.endpoints.push(made);
    return made;
  }

  opened(endpoint: EndpointStatistics, replyTo: string): void {
    this.#open.set(replyTo, { endpoint, sinceUs: this.#clock.us() });
  }

  /** Forgets an answered request; unknown ones (facts, or answered twice) are ignored. */
  answered(replyTo: string, error?: string): void {
    const open = this.#open.get(replyTo);
    if (open === undefined) return;
    this.#open.delete(replyTo);
    open.endpoint.requests += 1;
    open.endpoint.processingUs += this.#clock.us() - open.sinceUs;
    if (error !== undefined) {
      open.endpoint.errors += 1;
      open.endpoint.lastError = error;
    }
  }

  /** Reply subjects of requests nobody has answered yet. */
  unanswered(): readonly string[] {
    return [...this.#open.keys()];
  }
}
