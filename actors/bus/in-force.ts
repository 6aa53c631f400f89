/**
 * Whoever acts by a copy of a bucket says how far the copy has come; whoever writes the bucket waits for that before saying
 * that what was written is in force.
 */
import { Followed } from "../../subjects/followed.ts";
import type { Component } from "./component.ts";
import type { Bucket } from "./storage.ts";
import { say } from "./wiring.ts";

const BEAT_MS = 1000;
/** Who isn't heard for so long has gone, and comes back with all there is. */
const SILENT_US = 3 * BEAT_MS * 1000;
/** Nobody's answer waits longer for one that doesn't follow. */
const PATIENCE_MS = 2000;

/** The bucket, whose one watch is told of: for what acts by what it has heard when `changed` returns. */
export function toldOf(component: Component, bucket: Bucket): Bucket {
  return {
    ...bucket,
    async watch(changed, upToDate) {
      let [revision, isWhole] = [0, false];
      const tell = () => {
        if (isWhole) component.network.publish(say(Followed, { followerId: component.id }, { revision }));
      };
      const watch = await bucket.watch(
        (entry) => {
          changed(entry);
          revision = Math.max(revision, entry.revision);
          tell();
        },
        () => {
          upToDate?.();
          isWhole = true;
          tell();
        },
      );
      const beat = component.clock.every(BEAT_MS, tell);
      return {
        stop() {
          beat.stop();
          watch.stop();
        },
      };
    },
  };
}

/** Resolves when all that follow are as far as that, or it takes too long: at once where they are known to be. */
export type InForce = (revision: number) => Promise<void>;

/** Listens to those that follow, as long as the component lives. */
export function heardOf(component: Component): InForce {
  const followers = new Map<string, { readonly revision: number; readonly us: number }>();
  const waiting = new Map<() => void, number>();
  const isInForce = (revision: number): boolean => {
    const oldest = component.clock.us() - SILENT_US;
    for (const [id, { us }] of followers) if (us < oldest) followers.delete(id);
    return [...followers.values()].every((each) => each.revision >= revision);
  };
  const subscription = component.network.subscribe(Followed.subject(), ({ subject, data }) => {
    const { followerId } = Followed.address(subject);
    followers.set(followerId, { revision: revisionIn(data), us: component.clock.us() });
    for (const [goOn, revision] of waiting) if (isInForce(revision)) goOn();
  });
  component.add({ drain: () => subscription.drain() });
  return async (revision) => {
    if (isInForce(revision)) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, PATIENCE_MS).unref();
    waiting.set(resolve, revision);
    await promise;
    clearTimeout(timer);
    waiting.delete(resolve);
  };
}

/** Only components may say it; what is none of theirs counts for nothing. */
function revisionIn(data: Uint8Array): number {
  try {
    return Followed.body.parse(JSON.parse(new TextDecoder().decode(data))).revision;
  } catch {
    return 0;
  }
}
