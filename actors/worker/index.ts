/** The worker: one actor for the process. */
import type { Component } from "../bus/component.ts";
import { Population } from "../bus/population.ts";
import { type HostedSandboxes, workerLogic } from "./effects.ts";
import type { workerMachine } from "./machine.ts";
import { type WorkerFacts, workerWiring } from "./wiring.ts";

export interface WorkerOptions {
  readonly component: Component;
  readonly facts: WorkerFacts;
  readonly zone: string;
  readonly capacityMiB: number;
  readonly beatMs: number;
  readonly sandboxes: HostedSandboxes;
  /** Told once nothing is left on it. */
  readonly gone: () => void;
}

export function startWorker(options: WorkerOptions): Population<typeof workerMachine> {
  const { component, facts, zone, capacityMiB, beatMs, sandboxes, gone } = options;
  const { workerId } = facts;
  const worker = new Population(component, {
    actor: "worker",
    logic: workerLogic(sandboxes),
    wiring: workerWiring(facts, sandboxes),
    ended: gone,
  }).listen();
  worker.spawn(workerId, { workerId, zone, capacityMiB, beatMs });
  return worker;
}
