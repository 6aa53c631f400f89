/** What the workers that are heard can run, beside what Lambda has: runtimes that somebody added to their hosts. */
import type { Component } from "../../actors/bus/component.ts";
import { Heartbeat } from "../../subjects/worker.ts";

/** Beats after which a worker that isn't heard any more offers nothing. */
const SILENT_BEATS = 3;

/** Follows the workers' heartbeats as long as the component lives. Gives the runtimes they have now. */
export function followOffers(component: Component, beatMs: number): () => readonly string[] {
  const offers = new Map<string, { readonly runtimes: readonly string[]; readonly us: number }>();
  const subscription = component.network.subscribe(Heartbeat.subject(), (message) => {
    const { workerId } = Heartbeat.address(message.subject);
    const { runtimes } = beatIn(message.data) ?? {};
    if (runtimes !== undefined) offers.set(workerId, { runtimes, us: component.clock.us() });
  });
  component.add({ drain: () => subscription.drain() });
  return () => {
    const oldest = component.clock.us() - SILENT_BEATS * beatMs * 1000;
    for (const [workerId, { us }] of offers) if (us < oldest) offers.delete(workerId);
    return [...new Set([...offers.values()].flatMap(({ runtimes }) => runtimes))];
  };
}

function beatIn(data: Uint8Array): Heartbeat | undefined {
  try {
    return Heartbeat.body.parse(JSON.parse(new TextDecoder().decode(data)));
  } catch {
    return undefined;
  }
}
