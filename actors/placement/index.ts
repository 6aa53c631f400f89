/** Placement: one actor for each worker it knows of. */
import type { Component } from "../bus/component.ts";
import { Population } from "../bus/population.ts";
import type { Bucket } from "../bus/storage.ts";
import { leaseLogic } from "./effects.ts";
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

export function startPlacement({
  component,
  leases,
  beatMs,
  random,
}: PlacementOptions): Population<typeof leaseMachine> {
  const workers: Population<typeof leaseMachine> = new Population(component, {
    actor: "lease",
    logic: leaseLogic(leases, (error) => component.log.warn({ err: error }, "lease not written")),
    wiring: placementWiring(() => workers.snapshots().flatMap(([, snapshot]) => candidate(snapshot)), random),
    born: (workerId, event) =>
      event.type === "worker.beat"
        ? { workerId, beat: event.beat, beatMs, leaseMs: leaseLengthMs(random()), leasedAt: event.at }
        : undefined,
  });
  return workers.listen();
}

function candidate({ value, context }: ReturnType<typeof leaseMachine.getInitialSnapshot>): Candidate[] {
  if (typeof value === "string" || !("known" in value)) return [];
  const { lease, health } = value.known;
  const { workerId, beat, promisedMiB } = context;
  return [
    { ...beat, workerId, promisedMiB, lease: lease as Candidate["lease"], health: health as Candidate["health"] },
  ];
}
