/**
 * Tells a destination. One that can't be told doesn't bring the event back: it is tried for as long as a cluster may take
 * to choose a stream's new leader, then counted and logged. Source of the addresses: subjects/event-invoke.ts.
 */
import { setTimeout as pause } from "node:timers/promises";
import { Enqueue, EnqueueQualified } from "../../subjects/async.ts";
import { isPlatformSubject } from "../../subjects/platform.ts";
import { qualifierToToken } from "../../subjects/tokens.ts";
import { type Network, NoAnswer, type Said } from "../bus/port.ts";
import type { WorkQueues } from "../bus/queues.ts";

export interface Letter {
  readonly acct: string;
  /** A Destination as in event-invoke.ts. */
  readonly to: string;
  readonly payload: string | Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
  /** The same for the same letter. */
  readonly id: string;
}

export type Target =
  | { readonly kind: "function"; readonly acct: string; readonly fn: string; readonly qualifier: string | undefined }
  | { readonly kind: "subject"; readonly subject: string }
  | { readonly kind: "stream"; readonly stream: string; readonly subject: string };

const FUNCTION = /^arn:aws:lambda:[a-z0-9-]+:(\d{12}):function:([A-Za-z0-9_-]+)(?::([A-Za-z0-9_$-]+))?$/;
const SUBJECT = /^arn:aws:nats:::subject\/([^\s*>/]+)$/;
const STREAM = /^arn:aws:nats:::stream\/([^\s*>/.]+)\/([^\s*>/]+)$/;

/** Throws an Error that says why nothing can be told there. */
export function targetOf(destination: string, owner: string): Target {
  const [, acct, fn, qualifier] = FUNCTION.exec(destination) ?? [];
  if (acct !== undefined && fn !== undefined) {
    if (acct !== owner) throw new Error(`${destination} is another account's`);
    return { kind: "function", acct, fn, qualifier };
  }
  const [, plain] = SUBJECT.exec(destination) ?? [];
  const [, stream, stored] = STREAM.exec(destination) ?? [];
  const subject = plain ?? stored;
  if (subject === undefined) throw new Error(`${destination} is no destination`);
  if (isPlatformSubject(subject)) throw new Error(`${subject} is the platform's own`);
  return stream === undefined ? { kind: "subject", subject } : { kind: "stream", stream, subject };
}

/** Milliseconds between the tries: 15 s together, of which choosing a leader was seen to take up to 9. */
const PAUSES_MS = [100, 400, 1000, 2000, 4000, 8000];

type Queues = Pick<WorkQueues, "store" | "storedIn">;

/** Resolves when it has been told. Rejects with the last try's reason: at once where no stream is there to take it. */
export async function deliver(letter: Letter, network: Network, queues: Queues): Promise<void> {
  const target = targetOf(letter.to, letter.acct);
  for (const pauseMs of [...PAUSES_MS, undefined]) {
    try {
      return await tell(target, letter, network, queues);
    } catch (error) {
      const mayHelp = error instanceof NoAnswer && pauseMs !== undefined && !(await isHopeless(target, queues));
      if (!mayHelp) throw error;
      await pause(pauseMs);
    }
  }
}

/** A stream without a leader answers as one that isn't there does: only the list of streams tells them apart. */
async function isHopeless(target: Target, queues: Queues): Promise<boolean> {
  if (target.kind !== "stream") return false;
  try {
    return (await queues.storedIn(target.subject)) !== target.stream;
  } catch {
    return false;
  }
}

async function tell(target: Target, { payload, headers, id }: Letter, network: Network, queues: Queues): Promise<void> {
  if (target.kind === "subject") return network.deliver({ subject: target.subject, payload, headers });
  if (target.kind === "stream") {
    await queues.store({ subject: target.subject, payload, headers }, { id, stream: target.stream });
    return;
  }
  const { acct, fn, qualifier } = target;
  const subject =
    qualifier === undefined
      ? Enqueue.subject({ acct, fn })
      : EnqueueQualified.subject({ acct, fn, qualifier: qualifierToToken(qualifier) });
  const said: Said = { subject, payload, headers };
  await queues.store(said, { id });
}
