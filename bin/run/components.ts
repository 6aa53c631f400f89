/** Every component by its name on the map, and how it is started in this process. */
import type { Component } from "../../actors/bus/component.ts";
import { heardOf, toldOf } from "../../actors/bus/in-force.ts";
import { startControlPlane } from "../../actors/control-plane/index.ts";
import { startCounting } from "../../actors/counting/index.ts";
import { startFrontend } from "../../actors/frontend/index.ts";
import { startPlacement } from "../../actors/placement/index.ts";
import { startPoller } from "../../actors/poller/index.ts";
import { startTrigger } from "../../actors/trigger/index.ts";
import { startWorkerManager } from "../../actors/worker-manager/index.ts";
import { hasFeature, serverFeatures } from "../../config/nats/features.ts";
import { type Process, type Started, shortId, uuid } from "./context.ts";
import { followOffers } from "./offers.ts";
import { runWorker } from "./worker.ts";

const LEASE_TICK_MS = 1000;
const POOL_TICK_MS = 250;
const GRACE_MS = 2000;
const DEADLINE_TICK_MS = 250;
const SILENT_TICKS = 4;
const COUNT_MS = 3000;
const BACKLOG_IDLE_MS = 30_000;
/** More than a sandbox may take to be made and to initialise. */
const START_LIMIT_MS = 90_000;

type Start = (process: Process, options: { readonly zone: string }) => Promise<Started>;

const started = (component: Component): Started => ({ component, stop: () => component.stop() });

export const COMPONENTS = {
  "control-plane": async (process) => {
    const component = process.component("control-plane", "functions, versions, aliases, concurrency: the Lambda API");
    const { accounts, concurrency, region, egress } = process.config;
    const offered = followOffers(component, process.config.heartbeatMs);
    const { permitted: permittedNetworks } = egress;
    const options = { accounts, concurrencyLimit: concurrency, region, permittedNetworks, offered };
    const inForce = heardOf(component);
    await startControlPlane({ component, storage: process.storage, account: options, ids: uuid, inForce });
    return started(component);
  },
  counting: async (process) => {
    const component = process.component("counting", "who may run how many at once");
    await startCounting({
      component,
      functions: toldOf(component, process.storage.functions),
      accounts: process.config.accounts,
      limit: process.config.concurrency,
      timing: { tickMs: LEASE_TICK_MS, rebuildMs: 300, recallMs: 25, silentTicks: SILENT_TICKS },
    });
    return started(component);
  },
  placement: async (process) => {
    const component = process.component("placement", "which worker gets the next sandbox");
    await startPlacement({
      component,
      leases: process.storage.leases,
      beatMs: process.config.heartbeatMs,
      random: Math.random,
    });
    return started(component);
  },
  "worker-manager": async (process) => {
    const component = process.component("worker-manager", "which sandboxes are idle, and who gets them");
    const tickMs = POOL_TICK_MS;
    startWorkerManager({
      component,
      epoch: shortId(),
      tickMs,
      limits: {
        starting: process.config.startingLimit,
        silentTicks: (SILENT_TICKS * LEASE_TICK_MS) / tickMs,
        startTicks: START_LIMIT_MS / tickMs,
        stuckTicks: 20_000 / tickMs,
        unfitTicks: 3000 / tickMs,
      },
    });
    return started(component);
  },
  frontend: async (process) => {
    const component = process.component("frontend", "invokes: authenticates, admits, reserves, runs");
    const { accounts, region, reserveMs, initMs, slowMs } = process.config;
    await startFrontend({
      component,
      functions: toldOf(component, process.storage.functions),
      queues: process.queues,
      accounts,
      region,
      limits: { reserveMs, initMs, graceMs: GRACE_MS, tickMs: DEADLINE_TICK_MS },
      tickMs: LEASE_TICK_MS,
      slowMs,
      requestId: uuid,
    });
    return started(component);
  },
  poller: async (process) => {
    const component = process.component("poller", "runs asynchronous events, retries them, buries the dead");
    const { accounts, region, reserveMs, initMs, async } = process.config;
    await startPoller({
      component,
      functions: toldOf(component, process.storage.functions),
      queues: process.queues,
      accounts,
      region,
      standard: async,
      hasSchedules: hasFeature(process.connection.info?.version ?? "", serverFeatures.schedules),
      ackWaitMs: async.ackWaitMs,
      overheadMs: reserveMs + initMs + 2 * GRACE_MS,
      countMs: COUNT_MS,
      idleMs: BACKLOG_IDLE_MS,
    });
    return started(component);
  },
  trigger: async (process) => {
    const component = process.component("trigger", "event source mappings: what calls functions by itself");
    const { region, reserveMs, initMs, async } = process.config;
    await startTrigger({
      component,
      sources: process.sources,
      queues: process.queues,
      triggers: process.storage.triggers,
      functions: process.storage.functions,
      leases: process.storage.leases,
      beatMs: process.config.heartbeatMs,
      region,
      ids: uuid,
      hasCronSchedules: hasFeature(process.connection.info?.version ?? "", serverFeatures.cronSchedules),
      backoff: { minMs: async.backoffMs.min, maxMs: async.backoffMs.max },
      ackWaitMs: async.ackWaitMs,
      overheadMs: reserveMs + initMs + 2 * GRACE_MS,
    });
    return started(component);
  },
  worker: runWorker,
} satisfies Record<string, Start>;

export type ComponentName = keyof typeof COMPONENTS;

/** Those of which one may run at a time: what they know is in their memory. */
export const SINGLE: ReadonlySet<ComponentName> = new Set<ComponentName>(["counting", "placement", "worker-manager"]);

/** In the order they are started: who is asked before who asks. */
export const PLANE: readonly ComponentName[] = [
  "control-plane",
  "placement",
  "counting",
  "worker-manager",
  "frontend",
  "poller",
  "trigger",
];
