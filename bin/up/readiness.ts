/** Waits until the system answers: every component by its PING, a worker in every zone by its heartbeat. */
import type { Network } from "../../actors/bus/port.ts";
import { serviceSubjects } from "../../subjects/service.ts";
import { Heartbeat } from "../../subjects/worker.ts";

const PATIENCE_MS = 30_000;
const PING_MS = 250;
const decoder = new TextDecoder();

export class NotReady extends Error {
  override readonly name = "NotReady";
}

/**
 * Resolves with the workers' isolation in words. Throws `NotReady` naming who is missing and where to look, or at once what
 * `failed` rejects with.
 */
export async function awaitSystem(
  network: Network,
  workers: number,
  components: readonly string[],
  whereToLook: string,
  failed: Promise<never>,
): Promise<string> {
  const isolations = new Map<string, string>();
  const enough = Promise.withResolvers<void>();
  const heartbeats = network.subscribe(Heartbeat.subject(), ({ subject, data }) => {
    isolations.set(
      Heartbeat.address(subject).workerId,
      Heartbeat.body.parse(JSON.parse(decoder.decode(data))).isolation,
    );
    if (isolations.size >= workers) enough.resolve();
  });
  failed.catch(enough.reject);
  const missing = new Set(components);
  const timer = setTimeout(() => {
    const who = [...missing, ...(isolations.size < workers ? [`${workers - isolations.size} worker(s)`] : [])];
    enough.reject(new NotReady(`not ready after ${PATIENCE_MS / 1000} s: ${who.join(", ")}; see ${whereToLook}`));
  }, PATIENCE_MS);
  try {
    await Promise.all([enough.promise, ...components.map((name) => answers(network, name, missing, enough.promise))]);
    return [...new Set(isolations.values())].join("; ");
  } finally {
    clearTimeout(timer);
    await heartbeats.drain();
  }
}

async function answers(network: Network, name: string, missing: Set<string>, gaveUp: Promise<void>): Promise<void> {
  let isOver = false;
  gaveUp.catch(() => {
    isOver = true;
  });
  const [, subject = ""] = serviceSubjects("PING", `mayfly-${name}`, "any");
  while (!isOver) {
    const began = performance.now();
    const reply = await network.request({ subject, payload: "" }, PING_MS).catch(() => undefined);
    if (reply !== undefined) return void missing.delete(name);
    // "No responders" comes back at once: ask again when the time of one request is over.
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, PING_MS - (performance.now() - began))));
  }
}
