/** A backlog hears of what is published for its function: a hint only, the streams are counted as well. */
import { Due, Queued, QueuedQualified, Waiting } from "../../../subjects/async.ts";
import { asyncStream, RETRY_STREAM } from "../../../subjects/streams.ts";
import type { Clock, Message } from "../../bus/port.ts";
import { type Delivery, hearRaw, type Wiring } from "../../bus/wiring.ts";
import { spotOf } from "../sources.ts";
import type { BacklogEvent, backlogMachine } from "./machine.ts";

export const backlogKey = (acct: string, fn: string): string => `${acct}-${fn}`;

/** One hint wakes a backlog for longer; those that come right after it would cost more than the events. */
const HINT_MS = 50;

/** True for the first of those that are equal, within so many milliseconds. */
function oncePer(ms: number, clock: Clock): (text: string) => boolean {
  const lately = new Set<string>();
  let sinceUs = clock.us();
  return (text) => {
    if (clock.us() - sinceUs > ms * 1000) {
      lately.clear();
      sinceUs = clock.us();
    }
    if (lately.has(text)) return false;
    lately.add(text);
    return true;
  };
}

export function backlogWiring(accounts: readonly string[], clock: Clock): Wiring<typeof backlogMachine> {
  const isNews = oncePer(HINT_MS, clock);
  /** Published for a function that can't exist: nobody's, and the streams' count finds it. */
  const nobody: BacklogEvent = { type: "backlog.counted", depth: 0, sources: [] };
  const hint = {
    absent: "spawn" as const,
    heeds: ({ subject }: Message) => isNews(subject),
    key: (_: unknown, { address }: Delivery) => backlogKey(address.acct ?? "", address.fn ?? ""),
    toEvent: (_: unknown, { address, message }: Delivery): BacklogEvent => {
      const spot = spotOf("sequence" in address ? RETRY_STREAM : asyncStream(address.shard ?? ""), message.subject);
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
