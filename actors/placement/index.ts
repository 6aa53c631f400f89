/** Placement: one actor for each worker it knows of. */
import type { Component } from "../bus/component.ts";
import { Population } from "../bus/population.ts";
import type { Bucket } from "../bus/storage.ts";
import { leaseLogic } from "./effects.ts";
import { KeptLeases } from "./kept-leases.ts";
import type { leaseMachine } from "./machine.ts";
import { type Candidate, leaseLengthMs } from "./policy.ts";
import { placementWiring } from "./wiring.ts";

export interface PlacementOptions {
  readonly component: Component;
  readonly leases: Bucket;
  readonly beatMs: number;
  /** In [0, 1). */
  readonly random: () => number;
}

/** Resolves once it knows whom an earlier placement has given up. */
export async function startPlacement({
  component,
  leases,
  beatMs,
  random,
}: PlacementOptions): Promise<Population<typeof leaseMachine>> {
  const { clock, log } = component;
  const kept = new KeptLeases(leases, (error) => log.warn({ err: error }, "lease not written"));
  const input = () => ({ beatMs, leaseMs: leaseLengthMs(random()) });
  const workers: Population<typeof leaseMachine> = new Population(component, {
    actor: "lease",
    logic: leaseLogic(kept, clock),
    wiring: placementWiring(() => workers.snapshots().flatMap(([, snapshot]) => candidate(snapshot)), random),
    born: (workerId, event) =>
      event.type === "worker.beat"
        ? { ...input(), workerId, beat: event.beat, leasedAt: event.at, heardAt: event.at }
        : undefined,
  });
  for (const { workerId, endsAt, leasedAt, silentSince } of await kept.read()) {
    if (endsAt <= clock.now()) kept.drop(workerId);
    else if (silentSince !== undefined)
      workers.spawn(workerId, { ...input(), workerId, beat: undefined, leasedAt, heardAt: silentSince });
  }
  return workers.listen();
}

function candidate({ value, context }: ReturnType<typeof leaseMachine.getInitialSnapshot>): Candidate[] {
  if (typeof value === "string" || !("known" in value)) return [];
  const { lease, health } = value.known;
  const { workerId, beat, promisedMiB } = context;
  if (beat === undefined) return [];
  return [
    { ...beat, workerId, promisedMiB, lease: lease as Candidate["lease"], health: health as Candidate["health"] },
  ];
}
