/**
 * One trigger process at a time works on a mapping whose records are to be run in order, or never more than so many batches
 * of them at a time: whoever holds its lease. The holder renews the lease every beat; one that was not renewed for four beats
 * is taken over. Nobody compares clocks: each counts the beats it saw itself. A holder that can't renew stops taking records
 * before another may begin; what it runs at that moment it can't call back.
 */
import type { Logger } from "pino";
import { type Bucket, Conflict } from "../bus/storage.ts";
import type { Work } from "./surroundings.ts";

export interface TurnOptions {
  readonly leases: Bucket;
  readonly key: string;
  /** Another for each piece of work, also within one process. */
  readonly holder: string;
  readonly beatMs: number;
  readonly log: Logger;
  /** It is our turn. */
  begin(): Promise<Work>;
  /** It can't begin. */
  lost(why: string): void;
}

const BEATS_UNTIL_TAKEN = 4;
const BEATS_UNTIL_GIVEN_UP = 2;

export function takeTurns({ leases, key, holder, beatMs, log, begin, lost }: TurnOptions): Work {
  /** Of the lease as last seen, or written by us. */
  let revision = 0;
  let beats = 0;
  let failures = 0;
  let isOurs = false;
  let work: Work | undefined;
  let isStopped = false;
  let timer: NodeJS.Timeout | undefined;

  const renewed = async (): Promise<void> => {
    const entry = await leases.get(key);
    const lease = { holder, mapping: key };
    if (entry === undefined) {
      revision = await leases.create(key, lease);
      isOurs = true;
      return;
    }
    beats = entry.revision === revision ? beats + 1 : 1;
    isOurs &&= entry.revision === revision;
    revision = entry.revision;
    if (!isOurs && beats <= BEATS_UNTIL_TAKEN) return;
    revision = await leases.update(key, lease, entry.revision);
    isOurs = true;
  };
  const rest = async () => {
    const ending = work;
    work = undefined;
    await ending?.stop();
  };
  const beat = async () => {
    try {
      await renewed();
      failures = 0;
      if (!isOurs) await rest();
      else if (!isStopped) work ??= await begin();
    } catch (error) {
      if (error instanceof Conflict) {
        isOurs = false;
        return rest();
      }
      failures += 1;
      log.warn({ err: error, key }, "no beat of a lease");
      if (failures >= BEATS_UNTIL_GIVEN_UP) {
        isOurs = false;
        void rest();
      }
      if (work === undefined) lost(error instanceof Error ? error.message : String(error));
    }
  };
  let beating: Promise<void>;
  const next = () => {
    beating = beat().finally(() => {
      if (!isStopped) timer = setTimeout(next, beatMs);
    });
  };
  next();
  return {
    async stop() {
      isStopped = true;
      clearTimeout(timer);
      await beating;
      if (!isOurs) return rest();
      // What runs may take longer than others wait: the lease is kept until it has ended.
      const keeping = setInterval(() => void renewed().catch(() => {}), beatMs);
      await rest();
      clearInterval(keeping);
      await leases.delete(key, revision).catch(() => {});
    },
  };
}
