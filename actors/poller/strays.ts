/**
 * Events whose subject names what can be no function: nobody could be asked to run them, and no function's queue holds
 * them. They are given up where they lie, so that nothing is accepted and then never heard of.
 */
import { DEAD_STREAM } from "../../subjects/streams.ts";
import type { Component } from "../bus/component.ts";
import type { WorkQueues } from "../bus/queues.ts";
import type { Stray } from "./discovery.ts";
import { eventFrom } from "./intake.ts";
import { strayLetter } from "./letters.ts";
import { accountOf } from "./sources.ts";

type Queues = Pick<WorkQueues, "store" | "look" | "remove">;

/**
 * One after the other, so that a flood of them takes no more than one request at a time. What isn't done because of a
 * failure, or came meanwhile, is found by the next count. `buried`: one is among the dead letters, by this poller's doing.
 */
export function buryStrays(
  component: Component,
  queues: Queues,
  buried: (acct: string) => void,
): { found(strays: readonly Stray[]): void } {
  let isStopping = false;
  let burying: Promise<void> | undefined;
  const buryAll = async (strays: readonly Stray[]) => {
    for (const stray of strays) {
      if (isStopping) return;
      component.log.warn(stray, "events for an illegal name are given up");
      await bury(stray, queues, buried, () => isStopping);
    }
  };
  component.add({
    drain: async () => {
      isStopping = true;
      await burying;
    },
  });
  return {
    found(strays) {
      if (burying !== undefined || strays.length === 0) return;
      burying = buryAll(strays)
        .catch((error: unknown) => component.log.warn({ err: error }, "events for illegal names not given up yet"))
        .finally(() => {
          burying = undefined;
        });
    },
  };
}

/** The letter is stored before its event is taken out; pollers that do it at the same time store the same letter once. */
async function bury(
  { stream, subject, messages }: Stray,
  queues: Queues,
  buried: (acct: string) => void,
  isStopping: () => boolean,
): Promise<void> {
  let left = messages;
  for (let from = 1; left > 0 && !isStopping(); ) {
    const message = await queues.look(stream, subject, from);
    if (message === undefined) return;
    const { sequence } = message;
    from = sequence + 1;
    // A subject with a wildcard in it, which a server may let through, matches others' events, too.
    if (message.subject !== subject) continue;
    left -= 1;
    const letter = strayLetter(eventFrom(message), subject);
    await queues.store(letter, { id: `stray-${stream}-${sequence}`, stream: DEAD_STREAM });
    if (await queues.remove(stream, sequence)) buried(accountOf(subject));
  }
}
