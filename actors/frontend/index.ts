/** The front end: one actor for each invocation, and one for the leases of each function version in use. */
import { Retire } from "../../subjects/worker-manager.ts";
import type { Component } from "../bus/component.ts";
import { Population } from "../bus/population.ts";
import type { WorkQueues } from "../bus/queues.ts";
import type { Bucket } from "../bus/storage.ts";
import { say } from "../bus/wiring.ts";
import { openCatalogue } from "./catalogue.ts";
import { type Desk, invocationLogic } from "./effects.ts";
import { leasesLogic } from "./leases/effects.ts";
import type { leasesMachine } from "./leases/machine.ts";
import { leasesWiring } from "./leases/wiring.ts";
import type { InvocationContext, InvocationInput, invocationMachine } from "./machine.ts";
import { invocationWiring } from "./wiring.ts";

export interface FrontendOptions {
  readonly component: Component;
  readonly functions: Bucket;
  /** Where events for later go. */
  readonly queues: Pick<WorkQueues, "store">;
  readonly accounts: readonly string[];
  readonly region: string;
  readonly limits: InvocationInput["limits"];
  /** How often leases are looked at: what was idle for two ticks is given back. */
  readonly tickMs: number;
  /** Invocations that took longer than this are kept in the STATE stream. */
  readonly slowMs: number;
  readonly requestId: () => string;
}

export interface Frontend {
  readonly invocations: Population<typeof invocationMachine>;
  readonly leases: Population<typeof leasesMachine>;
}

/** Resolves once the functions are known and invokes are heard. */
export async function startFrontend(options: FrontendOptions): Promise<Frontend> {
  const { component, accounts, limits, tickMs, slowMs, requestId } = options;
  const frontendId = component.id;
  const leases: Population<typeof leasesMachine> = new Population(component, {
    actor: "leases",
    logic: leasesLogic(({ requestId, event }) => void invocations.send(requestId, event)),
    wiring: leasesWiring(frontendId),
  });
  const retire = (poolId: string) => {
    leases.send(poolId, { type: "leases.superseded" });
    component.network.publish(say(Retire, { poolId }, {}));
  };
  const catalogue = await openCatalogue(options.functions, options.region, retire);
  component.add({ drain: async () => catalogue.stop() });
  const desk: Desk = { catalogue, leases, queues: options.queues, frontendId, tickMs };
  const invocations: Population<typeof invocationMachine> = new Population(component, {
    actor: "invocation",
    logic: invocationLogic(() => desk),
    wiring: invocationWiring({ frontendId, accounts, clock: component.clock, requestId }),
    born: (_, event) => {
      if (event.type !== "invocation.requested") return undefined;
      const { acct, fn, qualifier } = event.request;
      return { ...event.request, spec: catalogue.find(acct, fn, qualifier), limits };
    },
    tick: { everyMs: limits.tickMs, event: { type: "invocation.ticked" } },
    brief: {
      about: ({ context }) => aboutOf(context),
      worthKeeping: ({ value, context: { result, event } }) =>
        value === "refused" ||
        (result === undefined
          ? event === undefined
          : result.cold || result.outcome !== "ok" || result.runUs > slowMs * 1000),
    },
  });
  leases.listen();
  invocations.listen();
  return { invocations, leases };
}

function aboutOf({ acct, fn, spec, sandbox, attempts, result, refused }: InvocationContext): Record<string, unknown> {
  return {
    acct,
    fn,
    version: spec?.version,
    sandbox: sandbox?.sandboxId,
    worker: sandbox?.workerId,
    attempts,
    refused: refused?.name,
    ...(result === undefined
      ? {}
      : {
          outcome: result.outcome,
          errorType: result.errorType,
          cold: result.cold,
          createUs: result.createUs,
          initUs: result.initUs,
          runUs: result.runUs,
        }),
  };
}
