/** The whole data plane on a simulated bus and clock: the real machines and tables, with functions that only take time. */

import { pino } from "pino";
import { fromCallback } from "xstate";
import { Component } from "../../actors/bus/component.ts";
import { Population } from "../../actors/bus/population.ts";
import { systemClock } from "../../actors/bus/port.ts";
import type { Bucket } from "../../actors/bus/storage.ts";
import { startCounting } from "../../actors/counting/index.ts";
import { startFrontend } from "../../actors/frontend/index.ts";
import { startPlacement } from "../../actors/placement/index.ts";
import {
  type ProcessCommand,
  type SandboxEvent,
  type SandboxInput,
  sandboxMachine,
} from "../../actors/sandbox/machine.ts";
import { sandboxWiring } from "../../actors/sandbox/wiring.ts";
import { startWorker } from "../../actors/worker/index.ts";
import { startWorkerManager } from "../../actors/worker-manager/index.ts";
import type { HostedSandbox } from "../../subjects/worker.ts";
import type { Line, SimulatedBus } from "./bus.ts";

/** What really runs, as the functions themselves see it. */
export interface Witness {
  began(fn: string, sandboxId: string): void;
  ended(sandboxId: string): void;
}

export interface Part {
  /** Its sudden death. */
  kill(): void;
}

export interface FleetOptions {
  readonly bus: SimulatedBus;
  readonly random: () => number;
  readonly functions: Bucket;
  readonly acct: string;
  readonly limit: number;
  readonly witness: Witness;
}

const BEAT_MS = 1000;
const SILENT_TICKS = 4;
const POOL_TICK_MS = 250;

export class Fleet {
  readonly #options: FleetOptions;
  readonly #leases: Bucket;
  #made = 0;

  constructor(options: FleetOptions, leases: Bucket) {
    this.#options = options;
    this.#leases = leases;
  }

  counting(): Promise<Part> {
    const { functions, acct, limit } = this.#options;
    return this.#part("counting", async (component) => {
      const timing = { tickMs: BEAT_MS, rebuildMs: 300, recallMs: 25, silentTicks: SILENT_TICKS };
      await startCounting({ component, functions, accounts: [acct], limit, timing });
    });
  }

  placement(): Promise<Part> {
    const { random } = this.#options;
    return this.#part("placement", async (component) => {
      await startPlacement({ component, leases: this.#leases, beatMs: BEAT_MS, random });
    });
  }

  workerManager(): Promise<Part> {
    return this.#part("worker-manager", async (component) => {
      const limits = {
        starting: 4,
        silentTicks: (SILENT_TICKS * BEAT_MS) / POOL_TICK_MS,
        startTicks: 90_000 / POOL_TICK_MS,
        stuckTicks: 20_000 / POOL_TICK_MS,
        unfitTicks: 3000 / POOL_TICK_MS,
      };
      startWorkerManager({ component, epoch: component.id, tickMs: POOL_TICK_MS, limits });
    });
  }

  frontend(): Promise<Part> {
    const { functions, acct } = this.#options;
    return this.#part("frontend", async (component) => {
      let requests = 0;
      await startFrontend({
        component,
        functions,
        queues: { store: async () => ({ isDuplicate: false }) },
        accounts: [acct],
        region: "us-east-1",
        limits: { reserveMs: 10_000, initMs: 1000, graceMs: 2000, tickMs: 250 },
        tickMs: BEAT_MS,
        slowMs: 1000,
        requestId: () => `${component.id}-${requests++}`,
      });
    });
  }

  worker(capacityMiB: number): Promise<Part> {
    const running = new Set<string>();
    return this.#part(
      "worker",
      async (component) => {
        const workerId = component.id;
        const sandboxes = new Population(component, {
          actor: "sandbox",
          logic: sandboxMachine.provide({ actors: { process: this.#process(running) } }),
          wiring: sandboxWiring(workerId),
        }).listen();
        const standing = () =>
          sandboxes.snapshots().map(([, { value, context }]) => ({
            state: Object.keys(value as object)[0] as HostedSandbox["state"],
            context,
          }));
        const sum = (isCounted: (state: string) => boolean) =>
          standing().reduce((total, { state, context }) => total + (isCounted(state) ? context.spec.memoryMiB : 0), 0);
        startWorker({
          component,
          facts: { workerId, host: "host", architecture: "x86_64", isolation: "none", runtimes: () => ["nodejs24.x"] },
          zone: "a",
          capacityMiB,
          beatMs: BEAT_MS,
          gone: () => {},
          sandboxes: {
            create: (sandboxId, poolId, spec) =>
              sandboxes.spawn(sandboxId, {
                sandboxId,
                workerId,
                poolId,
                spec,
                isolation: "none",
                limits: { initMs: 1000, idleMs: 5000, freezeMs: 100 },
              }),
            idle: () =>
              standing()
                .filter(({ state }) => state === "idle")
                .map(({ context: { sandboxId, spec, lastUsedUs } }) => ({
                  sandboxId,
                  memoryMiB: spec.memoryMiB,
                  lastUsedUs,
                })),
            busy: () =>
              standing()
                .filter(({ state }) => state === "busy")
                .map(({ context: { sandboxId } }) => sandboxId),
            load: () => ({
              busyMiB: sum((state) => state !== "idle"),
              idleMiB: sum((state) => state === "idle"),
              running: standing().flatMap(({ context: { job, spec } }) =>
                job === null ? [] : [{ acct: spec.acct, fn: spec.fn, frontendId: job.call.frontendId, count: 1 }],
              ),
            }),
            list: () =>
              Map.groupBy(
                standing().map(({ state, context: { sandboxId, poolId } }) => ({ sandboxId, state, poolId })),
                ({ poolId }) => poolId,
              ),
          },
        });
      },
      () => {
        for (const sandboxId of running) this.#options.witness.ended(sandboxId);
        running.clear();
      },
    );
  }

  /** A function's process: it takes its time to boot, to start and to answer, and fails or dies now and then, as its host does. */
  #process(running: Set<string>) {
    const { random, witness } = this.#options;
    return fromCallback<ProcessCommand, SandboxInput, SandboxEvent>(({ input, sendBack, receive }) => {
      const { sandboxId, spec } = input;
      const usage = { peakMemoryMiB: 1, tail: undefined };
      let timer: NodeJS.Timeout | undefined;
      const later = (ms: number, happen: () => void) => {
        timer = setTimeout(happen, 1 + random() * ms);
      };
      const end = () => {
        clearTimeout(timer);
        if (running.delete(sandboxId)) witness.ended(sandboxId);
      };
      receive((command) => {
        if (command.type === "kill") return end();
        if (command.type === "boot") {
          return later(20, () => {
            if (random() < 0.03)
              return sendBack({ type: "process.notMade", fault: { name: "ENOSPC", text: "ENOSPC" } });
            const at = Date.now();
            sendBack({ type: "process.booted", createUs: 1, us: at * 1000, at, runtimeVersion: "nodejs:24" });
            later(40, () => {
              if (random() >= 0.05) return sendBack({ type: "process.ready", initUs: 1 });
              const error = { errorType: "Runtime.ImportModuleError", payload: "{}" };
              sendBack({ type: "process.initFailed", error, us: Date.now() * 1000, usage });
            });
          });
        }
        if (command.type !== "deliver") return;
        const { requestId } = command.call;
        running.add(sandboxId);
        witness.began(spec.fn, sandboxId);
        later(300, () => {
          end();
          const us = Date.now() * 1000;
          if (random() < 0.05) {
            return sendBack({ type: "process.exited", exit: { code: 1, signal: null, outOfMemory: false }, us, usage });
          }
          sendBack({
            type: "process.responded",
            requestId,
            payload: command.payload,
            us,
            usage,
          });
        });
      });
      return end;
    });
  }

  async #part(name: string, start: (component: Component) => Promise<void>, killed = () => {}): Promise<Part> {
    const id = `${name}-${this.#made++}`;
    const line: Line = this.#options.bus.line(id);
    const component = new Component({
      name: `test-${name}`,
      id,
      version: "0.0.1",
      description: "simulated",
      network: line,
      clock: { ...systemClock, us: () => Date.now() * 1000 },
      log: pino({ level: "silent" }),
    });
    await start(component);
    return {
      kill: () => {
        line.cut();
        killed();
      },
    };
  }
}
