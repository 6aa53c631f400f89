/** Looking into streams without taking from them, and deleting single messages. Works on work queues too. */
import { JetStreamApiError, jetstreamManager, type StoredMsg } from "@nats-io/jetstream";
import type { NatsConnection } from "nats";
import { Refused } from "../subjects/errors.ts";
import { NotRunning } from "./failure.ts";

export type Stored = StoredMsg;

const NOT_FOUND = 404;

/** The header's value; an absent one and an empty one are both nothing. */
export const headerOf = ({ header }: Stored, name: string): string | undefined => header.get(name) || undefined;

export interface Shelf {
  /**
   * The stream's messages on a subject, oldest first, without those that come while they are read; nothing when there is
   * no such stream.
   */
  messages(stream: string, subject: string): AsyncGenerator<Stored>;
  /** How many messages each subject of the stream holds. */
  counts(stream: string): Promise<Readonly<Record<string, number>>>;
  /** False when it is gone already. */
  remove(stream: string, sequence: number): Promise<boolean>;
}

/** Throws `Refused` where the credentials don't allow it, `NotRunning` where there is no JetStream. */
export async function openShelf(connection: NatsConnection): Promise<Shelf> {
  const manager = await jetstreamManager(connection).catch((cause: unknown) => {
    throw new NotRunning(`the server keeps no streams (${cause instanceof Error ? cause.message : cause})`, { cause });
  });
  const next = (stream: string, query: { seq: number; next_by_subj: string }) =>
    manager.direct.getMessage(stream, query).catch(nothingIfMissing);
  return {
    async *messages(stream, subject) {
      const info = await manager.streams.info(stream).catch(nothingIfMissing);
      if (!info || info.state.messages === 0) return;
      for (let seq = info.state.first_seq; seq <= info.state.last_seq; ) {
        const found = await next(stream, { seq, next_by_subj: subject });
        if (!found || found.seq > info.state.last_seq) return;
        yield found;
        seq = found.seq + 1;
      }
    },
    async counts(stream) {
      const info = await manager.streams.info(stream, { subjects_filter: ">" }).catch(nothingIfMissing);
      return info?.state.subjects ?? {};
    },
    async remove(stream, sequence) {
      try {
        return await manager.streams.deleteMessage(stream, sequence);
      } catch (error) {
        if (error instanceof JetStreamApiError) return false;
        throw denied(error);
      }
    },
  };
}

function nothingIfMissing(error: unknown): undefined {
  if (error instanceof JetStreamApiError && error.status === NOT_FOUND) return undefined;
  throw denied(error);
}

const denied = (error: unknown): unknown =>
  error instanceof Error && /permissions violation/i.test(error.message)
    ? new Refused("AccessDeniedException", `these credentials don't allow it (${error.message})`)
    : error;
