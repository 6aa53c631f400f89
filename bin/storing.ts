/** Publishing what must be kept: it counts once a stream has acknowledged it. */
import { JetStreamApiError, jetstream } from "@nats-io/jetstream";
import { headers as natsHeaders } from "nats";
import { Refused } from "../subjects/errors.ts";
import { NotRunning } from "./failure.ts";
import type { Session } from "./session.ts";

export interface ToStore {
  readonly subject: string;
  readonly payload: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
  /** A second one of the same id within the stream's window of duplicates is acknowledged and not kept again. */
  readonly id: string;
}

const PATIENCE_MS = 10_000;

/** The number it has in the stream. Throws `Refused` when the stream won't have it, `NotRunning` when none is there. */
export async function store({ connection }: Session, { subject, payload, headers, id }: ToStore): Promise<number> {
  const sent = natsHeaders();
  for (const [name, value] of Object.entries(headers)) sent.set(name, value);
  try {
    const options = { headers: sent, msgID: id, timeout: PATIENCE_MS };
    return (await jetstream(connection).publish(subject, payload, options)).seq;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    if (cause instanceof JetStreamApiError)
      throw new Refused("TooManyRequestsException", `the queue doesn't take it: ${why}`);
    if (/permissions violation/i.test(why)) throw new Refused("AccessDeniedException", why);
    throw new NotRunning(`nothing stored the event (${why})`, { cause });
  }
}
