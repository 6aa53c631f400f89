/** Asking for a streamed response as any NATS client does. */
import { createInbox, headers, type Msg, type NatsConnection } from "nats";

export const header = (message: Msg | undefined, name: string) => message?.headers?.get(name) || undefined;

/** The kind of error that a response ended with, and its name. */
export const errorOf = (end: Msg) => [header(end, "X-Amz-Function-Error"), end.json<{ errorType: string }>().errorType];

export interface Reading {
  /** Asks for flow control, and is given what it has to acknowledge: `unread` bytes came up to there. */
  readonly acknowledge?: (at: string, unread: number) => void;
  /** What came isn't kept: only counted. */
  readonly forgets?: boolean;
}

/** What came to the caller so far, and all of it when it has ended. */
export function stream(nats: NatsConnection, fn: string, event: object = {}, reading: Reading = {}) {
  const came: Msg[] = [];
  const ended = Promise.withResolvers<Msg>();
  const inbox = createInbox();
  let [bytes, unread] = [0, 0];
  const subscription = nats.subscribe(inbox, {
    callback: (_, message) => {
      if (isEnd(message)) return ended.resolve(message);
      bytes += message.data.length;
      unread += message.data.length;
      if (!reading.forgets) came.push(message);
      if (!message.reply) return;
      reading.acknowledge?.(message.reply, unread);
      unread = 0;
    },
  });
  const asked = headers();
  asked.set("X-Amz-Invocation-Type", "ResponseStream");
  if (reading.acknowledge !== undefined) asked.set("Mayfly-Flow-Control", "true");
  nats.publish(`mayfly.invoke.${fn}`, JSON.stringify(event), { reply: inbox, headers: asked });
  return {
    came,
    bytes: () => bytes,
    async all() {
      const end = await ended.promise;
      subscription.unsubscribe();
      return { chunks: came, end, body: Buffer.concat(came.map(({ data }) => data)) };
    },
    leave: () => subscription.unsubscribe(),
  };
}

const isEnd = (message: Msg) =>
  header(message, "Mayfly-Event-Type") === "InvokeComplete" || header(message, "Nats-Service-Error") !== undefined;
