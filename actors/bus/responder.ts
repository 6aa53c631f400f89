/**
 * Stateless requests: a row says which contract, and a function of the request says the answer. For what needs no memory
 * between two requests; everything with a life of its own is a machine in a population.
 *
 * Promises, as a population's: every request is answered, by the body or by a named error, or it is open in the
 * statistics; nothing thrown leaves this file; `drain` waits for the answers still being worked out.
 */
import type { Contract } from "../../subjects/contract.ts";
import { Refused, refusal } from "../../subjects/errors.ts";
import type { Component } from "./component.ts";
import type { Message, Subscription } from "./port.ts";
import { refusalSaid } from "./replies.ts";
import type { EndpointStatistics } from "./statistics.ts";

export interface Question {
  readonly address: Readonly<Record<string, string>>;
  readonly data: Uint8Array;
  /** Epoch milliseconds. */
  readonly at: number;
}

export interface Responds {
  readonly contract: Contract;
  readonly subject: string;
  readonly queue: string;
  /** Listed under this name by `nats micro`. */
  readonly endpoint?: string;
  /** The reply's JSON. `undefined` stays silent: the request is somebody else's. Throw `Refused` to refuse by name. */
  readonly answer: (question: Question) => Promise<object | undefined> | object | undefined;
}

export class Responder {
  readonly #component: Component;
  readonly #subscriptions: Subscription[] = [];
  readonly #open = new Set<Promise<void>>();

  constructor(component: Component, rows: readonly Responds[]) {
    this.#component = component;
    for (const row of rows) {
      const { endpoint: name, subject, queue } = row;
      const endpoint = name === undefined ? undefined : component.statistics.endpoint(name, subject, queue);
      const heard = (message: Message) => this.#heard(row, endpoint, message);
      this.#subscriptions.push(component.network.subscribe(subject, heard, queue));
    }
    component.add(this);
  }

  async drain(): Promise<void> {
    await Promise.all(this.#subscriptions.splice(0).map((each) => each.drain()));
    await Promise.all(this.#open);
  }

  #heard(row: Responds, endpoint: EndpointStatistics | undefined, message: Message): void {
    const { statistics } = this.#component;
    if (message.replyTo === undefined) return;
    if (endpoint !== undefined) statistics.opened(endpoint, message.replyTo);
    const answered = this.#answer(row, message, message.replyTo);
    this.#open.add(answered);
    void answered.finally(() => this.#open.delete(answered));
  }

  async #answer(row: Responds, message: Message, to: string): Promise<void> {
    const { network, statistics, clock, log } = this.#component;
    try {
      const address = row.contract.address(message.subject);
      const body = await row.answer({ address, data: message.data, at: clock.now() });
      if (body === undefined) return;
      network.publish({ subject: to, payload: JSON.stringify(body), isAnswer: true });
      statistics.answered(to);
    } catch (error) {
      if (!(error instanceof Refused)) log.error({ subject: message.subject, err: error }, "could not answer");
      const why = error instanceof Refused ? error.refusal : refusal("ServiceException", String(error));
      network.publish(refusalSaid(to, why));
      statistics.answered(to, `${why.name}: ${why.message}`);
    }
  }
}
