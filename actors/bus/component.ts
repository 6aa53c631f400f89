/** What one running component shares: the network, time, log, statistics, and its populations. */
import type { Logger } from "pino";
import { refusal } from "../../subjects/errors.ts";
import { type ServiceOptions, showService } from "./micro.ts";
import type { Clock, Network, Subscription } from "./port.ts";
import { refusalSaid } from "./replies.ts";
import { Statistics } from "./statistics.ts";
import { type Teller, tellTransitions } from "./transitions.ts";

export interface ComponentOptions extends ServiceOptions {
  readonly network: Network;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface Drains {
  drain(): Promise<void>;
}

export class Component {
  readonly network: Network;
  readonly clock: Clock;
  readonly log: Logger;
  readonly statistics: Statistics;
  readonly teller: Teller;
  readonly id: string;
  readonly name: string;
  readonly #service: Subscription;
  readonly #members: Drains[] = [];

  constructor(options: ComponentOptions) {
    this.network = options.network;
    this.clock = options.clock;
    this.id = options.id;
    this.name = options.name;
    this.log = options.log.child({ component: options.name });
    this.statistics = new Statistics(options.clock);
    this.teller = tellTransitions(options.network, options.clock);
    this.#service = showService(options.network, options.clock, this.statistics, options);
  }

  /** Whatever is added is drained when the component stops, last added first. */
  add<T extends Drains>(member: T): T {
    this.#members.push(member);
    return member;
  }

  /** Stops hearing, lets what runs finish, refuses what is still unanswered. */
  async stop(): Promise<void> {
    await this.#service.drain();
    for (const member of this.#members.reverse()) await member.drain();
    for (const to of this.statistics.unanswered()) {
      this.network.publish(refusalSaid(to, refusal("ServiceException", "the component is stopping; ask again")));
      this.statistics.answered(to, "stopping");
    }
    await this.network.flush().catch(() => {});
  }
}
