/** A backlog hears of what is published for its function: a hint only, the streams are counted as well. */
import { Due, Queued, QueuedQualified, Waiting } from "../../../subjects/async.ts";
import { asyncStream, RETRY_STREAM } from "../../../subjects/streams.ts";
import { type Delivery, hearRaw, type Wiring } from "../../bus/wiring.ts";
import { spotOf } from "../sources.ts";
import type { BacklogEvent, backlogMachine } from "./machine.ts";

export const backlogKey = (acct: string, fn: string): string => `${acct}-${fn}`;

export function backlogWiring(accounts: readonly string[]): Wiring<typeof backlogMachine> {
  /** Published for a function that can't exist: nobody's, and the streams' count finds it. */
  const nobody: BacklogEvent = { type: "backlog.counted", depth: 0, sources: [] };
  const hint = {
    absent: "spawn" as const,
    key: (_: unknown, { address }: Delivery) => backlogKey(address.acct ?? "", address.fn ?? ""),
    toEvent: (_: unknown, { address, message }: Delivery): BacklogEvent => {
      const stream = address.shard === undefined ? RETRY_STREAM : asyncStream(address.shard);
      const spot = spotOf(stream, message.subject);
      return spot === undefined ? nobody : { type: "backlog.stirred", ...spot };
    },
  };
  return {
    hears: accounts.flatMap((acct) => [
      hearRaw(Queued, { ...hint, at: { acct } }),
      hearRaw(QueuedQualified, { ...hint, at: { acct } }),
      hearRaw(Waiting, { ...hint, at: { acct } }),
      hearRaw(Due, { ...hint, at: { acct } }),
    ]),
    says: {},
  };
}
