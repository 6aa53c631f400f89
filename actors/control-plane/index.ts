/** The control plane: functions, versions, aliases, concurrency, events, mappings and tags, by the Lambda API's names. */
import { FunctionRecord } from "../../subjects/function.ts";
import type { Component } from "../bus/component.ts";
import type { InForce } from "../bus/in-force.ts";
import { Population } from "../bus/population.ts";
import { Responder } from "../bus/responder.ts";
import type { Entry, Storage } from "../bus/storage.ts";
import type { AccountOptions } from "./account.ts";
import { lifeOf } from "./commands.ts";
import { functionLogic } from "./effects.ts";
import { commandWiring, functionId, lookWiring } from "./wiring.ts";

export interface ControlPlaneOptions {
  readonly component: Component;
  readonly storage: Storage;
  readonly account: AccountOptions;
  /** A fresh uuid each time. */
  readonly ids: () => string;
  /** Operations of the API that other components answer; every other unknown one is refused here. */
  readonly elsewhere?: readonly string[];
  /** Resolves when those that act by the functions' bucket know that revision. Default: nobody is waited for. */
  readonly inForce?: InForce;
  /** How long another control plane's unfinished work is left to it. Default 5 s. */
  readonly patienceMs?: number;
}

/** Resolves when it answers and has taken up what an earlier life left unfinished. Ends with the component. */
export async function startControlPlane({
  component,
  storage,
  account,
  ids,
  elsewhere = [],
  inForce = async () => {},
  patienceMs = 5000,
}: ControlPlaneOptions): Promise<void> {
  const surroundings = { storage, account, clock: component.clock, ids, log: component.log, inForce, patienceMs };
  const { logic, idle } = functionLogic(surroundings);
  // Drained last: what is in line is finished before the component says that it is gone.
  component.add({ drain: idle });
  const functions = new Population(component, {
    actor: "function",
    logic,
    wiring: commandWiring(surroundings),
    born: (_key, event) => ("acct" in event ? { acct: event.acct, fn: event.fn } : undefined),
  }).listen();
  new Responder(component, lookWiring(surroundings, new Set(elsewhere)));

  let reading = true;
  const upToDate = Promise.withResolvers<void>();
  const watch = await storage.functions.watch(
    (entry) => overheard(functions, entry, reading),
    () => {
      reading = false;
      upToDate.resolve();
    },
  );
  component.add({ drain: async () => watch.stop() });
  await upToDate.promise;
}

/**
 * Tells the machine of a function that its record has work under way, and makes it if need be. At the start somebody has
 * to take it up at once; later most likely somebody is at it, who is given time to finish. Done twice it does no harm: the
 * second one finds the record changed.
 */
function overheard(
  functions: Population<ReturnType<typeof functionLogic>["logic"]>,
  { key, value }: Entry,
  atOnce: boolean,
): void {
  const [acct, fn, version] = key.split(".");
  if (acct === undefined || fn === undefined || version !== undefined || value === undefined) return;
  const record = FunctionRecord.safeParse(value);
  if (!record.success || !["pending", "updating", "deleting"].includes(lifeOf(record.data))) return;
  functions.spawn(functionId(acct, fn), { acct, fn });
  functions.send(functionId(acct, fn), { type: "record.overheard", atOnce });
}
