/** Sandboxes of one worker process: one actor for each. */
import { setTimeout as wait } from "node:timers/promises";
import type { FunctionSpec } from "../../subjects/function.ts";
import { poolId } from "../../subjects/function.ts";
import type { Heartbeat, HostedSandbox } from "../../subjects/worker.ts";
import type { Component } from "../bus/component.ts";
import { Population } from "../bus/population.ts";
import { sandboxLogic } from "./effects.ts";
import type { SandboxContext, SandboxInput, sandboxMachine } from "./machine.ts";
import { logSaid, sandboxWiring } from "./wiring.ts";
import type { SandboxWorld } from "./world.ts";

export interface SandboxesOptions {
  readonly component: Component;
  readonly workerId: string;
  readonly world: Pick<SandboxWorld, "driver" | "furnish" | "streamPace">;
  readonly limits: SandboxInput["limits"];
  /** Named in every receipt. */
  readonly isolation: string;
  /** Told when one is gone, whether or not the network could be. */
  readonly gone: (sandboxId: string) => void;
}

/**
 * Taking down what is left of a sandbox takes a processor about as long as a start from a stem cell. Where one was replaced,
 * the first call of its successor comes now: it goes first, and so does whatever is being made, but not for ever.
 */
const MAKE_WAY_MS = 25;
const MAKE_WAY_AT_MOST_MS = 200;

type Standing = "init" | "idle" | "busy";

export class Sandboxes {
  readonly #population: Population<typeof sandboxMachine>;
  readonly #options: SandboxesOptions;
  readonly #ending = new Set<Promise<void>>();

  constructor(options: SandboxesOptions) {
    const { component, workerId, world } = options;
    this.#options = options;
    this.#population = new Population(component, {
      actor: "sandbox",
      logic: sandboxLogic({
        ...world,
        log: (sandbox, line) => component.network.publish(logSaid(sandbox, line)),
        sent: () => component.network.flush(),
        hostFailed: ({ sandboxId, isolation: driver, spec: { acct, fn } }, cause) =>
          component.log.error({ sandboxId, acct, fn, driver, err: cause }, "the host could not make a sandbox"),
        leftBehind: ({ sandboxId }, error) =>
          component.log.error({ sandboxId, err: error }, "not all of it is stopped or removed"),
        ending: (gone) => {
          this.#ending.add(gone);
          void gone.finally(() => this.#ending.delete(gone));
        },
        makeWay: () => this.#makeWay(),
        us: () => component.clock.us(),
      }),
      wiring: sandboxWiring(workerId),
      ended: options.gone,
    }).listen();
  }

  create(sandboxId: string, pool: string, spec: FunctionSpec, wantedBy?: string): void {
    const { workerId, isolation, limits } = this.#options;
    this.#population.spawn(sandboxId, { sandboxId, workerId, poolId: pool, wantedBy, spec, isolation, limits });
  }

  idle(exceptOf: string) {
    return this.#standing()
      .filter(([standing, { poolId: pool }]) => standing === "idle" && pool !== exceptOf)
      .map(([, { sandboxId, spec, lastUsedUs }]) => ({ sandboxId, memoryMiB: spec.memoryMiB, lastUsedUs }));
  }

  busy(): readonly string[] {
    return this.#standing()
      .filter(([standing]) => standing === "busy")
      .map(([, { sandboxId }]) => sandboxId);
  }

  load(): Pick<Heartbeat, "busyMiB" | "idleMiB" | "running"> {
    const running = new Map<string, Heartbeat["running"][number]>();
    let [busyMiB, idleMiB] = [0, 0];
    for (const [standing, { spec, job }] of this.#standing()) {
      if (standing === "idle") idleMiB += spec.memoryMiB;
      else busyMiB += spec.memoryMiB;
      if (job === null) continue;
      const key = `${spec.acct}/${spec.fn}/${job.call.frontendId}`;
      const count = (running.get(key)?.count ?? 0) + 1;
      running.set(key, { acct: spec.acct, fn: spec.fn, frontendId: job.call.frontendId, count });
    }
    return { busyMiB, idleMiB, running: [...running.values()] };
  }

  list(): ReadonlyMap<string, readonly HostedSandbox[]> {
    const pools = new Map<string, HostedSandbox[]>();
    for (const [state, { sandboxId, spec }] of this.#standing()) {
      const key = poolId(spec);
      pools.set(key, [...(pools.get(key) ?? []), { sandboxId, state }]);
    }
    return pools;
  }

  /** Resolves when those that have ended are gone: extensions are given their time. */
  async gone(): Promise<void> {
    await Promise.all(this.#ending);
  }

  get size(): number {
    return this.#population.size;
  }

  async #makeWay(): Promise<void> {
    for (let waitedMs = 0; waitedMs < MAKE_WAY_AT_MOST_MS; waitedMs += MAKE_WAY_MS) {
      await wait(MAKE_WAY_MS);
      if (this.#standing().every(([standing]) => standing !== "init")) return;
    }
  }

  #standing(): Array<readonly [Standing, SandboxContext]> {
    return this.#population
      .snapshots()
      .map(([, { value, context }]) => [Object.keys(value as object)[0] as Standing, context] as const);
  }
}
