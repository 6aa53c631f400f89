/** The network port on NATS. The only code, with streams.ts beside it, that touches the client library. */
import {
  type ConnectionOptions,
  connect,
  headers,
  type Msg,
  type NatsConnection,
  RequestError,
  type RequestManyOptions,
} from "nats";
import { refusal } from "../../subjects/errors.ts";
import { type Message, type Network, NoAnswer, type Said, type Subscription } from "./port.ts";
import { refusalSaid } from "./replies.ts";
import { Wire } from "./wire.ts";

export interface NatsOptions {
  readonly url: string;
  readonly user?: string;
  readonly password?: string;
  /** Shown by `nats server report connections`. */
  readonly name: string;
}

/**
 * Connects, and keeps reconnecting for good: a component outlives its server, and whatever else has its port meanwhile. A
 * server that doesn't know us is another system's: the client would close after the second one that says so.
 * `noAsyncTraces` matters: stack traces per request cost 1.6 × of the throughput at 64 in flight.
 */
export function connectNats({ url, user, password, name }: NatsOptions): Promise<NatsConnection> {
  const options: ConnectionOptions = {
    servers: url,
    name,
    noAsyncTraces: true,
    maxReconnectAttempts: -1,
    ignoreAuthErrorAbort: true,
    reconnectTimeWait: 250,
    pingInterval: 5000,
    maxPingOut: 2,
  };
  if (user !== undefined) options.user = user;
  if (password !== undefined) options.pass = password;
  return connect(options);
}

const NO_RESPONDERS = 503;

class NatsMessage implements Message {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly replyTo: string | undefined;
  readonly #message: Msg;

  constructor(message: Msg) {
    this.#message = message;
    this.subject = message.subject;
    this.data = message.data;
    this.replyTo = message.reply === "" ? undefined : message.reply;
  }

  get headers(): Readonly<Record<string, string>> {
    return Object.fromEntries([...(this.#message.headers ?? [])].map(([name, values]) => [name, values.join(",")]));
  }

  get isNobody(): boolean {
    return this.#message.headers?.code === NO_RESPONDERS;
  }

  header(name: string): string | undefined {
    const value = this.#message.headers?.get(name);
    return value === undefined || value === "" ? undefined : value;
  }
}

/** As the client takes them, for its own requests. */
function headersOf(said: Said): { headers?: ReturnType<typeof headers> } {
  if (said.headers === undefined) return {};
  const sent = headers();
  for (const name in said.headers) sent.set(name, said.headers[name] ?? "");
  return { headers: sent };
}

/** The client's own way to the server, which takes what is encoded already. */
interface Encoded {
  readonly protocol: { sendCommand(bytes: Uint8Array): void };
}

/** How long news may wait for something to travel with: less than a watcher notices. */
const NEWS_MS = 2;

/**
 * What is said in one turn of the event loop leaves in one write, and news with the next one: waking the other end is the
 * dearest part of a message. Order is kept, also against requests.
 */
export function natsNetwork(connection: NatsConnection): Network {
  const { protocol } = connection as unknown as Encoded;
  let waiting: Said[] = [];
  let isLeaving = false;
  let isNewsLeaving = false;
  const leave = () => {
    const leaving = waiting;
    waiting = [];
    isLeaving = false;
    if (connection.isClosed()) return;
    const wire = wireNow();
    for (const said of leaving) add(wire, said);
    send(wire);
  };
  const wireNow = () => new Wire(connection.info?.max_payload ?? Number.POSITIVE_INFINITY);
  const send = (wire: Wire) => {
    for (const bytes of wire.bytes()) protocol.sendCommand(bytes);
  };
  /** What can't be sent is lost alone: a payload above the server's maximum, a subject that is none. */
  const add = (wire: Wire, said: Said) => {
    try {
      wire.add(said);
    } catch (error) {
      if (said.isAnswer !== true) return;
      const why = `the answer can't be sent: ${error instanceof Error ? error.message : String(error)}`;
      add(wire, refusalSaid(said.subject, refusal("ServiceException", why)));
    }
  };
  return {
    subscribe(subject, heard, queue): Subscription {
      const subscription = connection.subscribe(subject, {
        ...(queue === undefined ? {} : { queue }),
        callback: (error, message) => {
          if (error === null) heard(new NatsMessage(message));
        },
      });
      return { drain: () => (connection.isClosed() ? Promise.resolve() : subscription.drain()) };
    },
    publish(said) {
      waiting.push(said);
      if (isLeaving) return;
      if (said.isNews === true) {
        if (isNewsLeaving) return;
        isNewsLeaving = true;
        setTimeout(() => {
          isNewsLeaving = false;
          leave();
        }, NEWS_MS);
        return;
      }
      isLeaving = true;
      setImmediate(leave);
    },
    async deliver(said) {
      leave();
      const wire = wireNow();
      wire.add(said);
      send(wire);
      await connection.flush();
    },
    async request(said, timeoutMs) {
      leave();
      try {
        const reply = await connection.request(said.subject, said.payload, { timeout: timeoutMs, ...headersOf(said) });
        return new NatsMessage(reply);
      } catch (error) {
        const isNobody = error instanceof RequestError && error.isNoResponders();
        throw new NoAnswer(`${said.subject}: ${error instanceof Error ? error.message : String(error)}`, { isNobody });
      }
    },
    flush() {
      leave();
      return connection.flush();
    },
  };
}

/**
 * All that is answered to a request, until `timeoutMs` have passed or the reader has enough. Throws `NoAnswer` when nobody
 * listens.
 */
export async function* answersTo(connection: NatsConnection, said: Said, timeoutMs: number): AsyncGenerator<Message> {
  const options = {
    strategy: "timer",
    maxWait: timeoutMs,
    noMux: true,
    ...headersOf(said),
  };
  try {
    const answers = await connection.requestMany(said.subject, said.payload, options as Partial<RequestManyOptions>);
    for await (const answer of answers) yield new NatsMessage(answer);
  } catch (error) {
    throw new NoAnswer(`${said.subject}: ${error instanceof Error ? error.message : String(error)}`, {
      isNobody: true,
    });
  }
}
