/** The worker manager: one actor for each function version that somebody uses. */
import type { Component } from "../bus/component.ts";
import { Population } from "../bus/population.ts";
import type { PoolLimits } from "./book.ts";
import { poolMachine } from "./machine.ts";
import { askWhatIsHosted, poolWiring } from "./wiring.ts";

export interface WorkerManagerOptions {
  readonly component: Component;
  /** A token that no earlier instance had. */
  readonly epoch: string;
  readonly tickMs: number;
  readonly limits: PoolLimits;
}

export function startWorkerManager({
  component,
  epoch,
  tickMs,
  limits,
}: WorkerManagerOptions): Population<typeof poolMachine> {
  let pools = 0;
  const population = new Population(component, {
    actor: "pool",
    logic: poolMachine,
    wiring: poolWiring,
    born: (poolId) => {
      pools += 1;
      return { poolId, epoch: `${epoch}${pools.toString(36)}`, tickMs, limits };
    },
  }).listen();
  component.network.publish(askWhatIsHosted());
  return population;
}
