/** Counting: one actor for each account. */
import { FunctionRecord } from "../../subjects/function.ts";
import type { Component } from "../bus/component.ts";
import { Population } from "../bus/population.ts";
import type { Bucket } from "../bus/storage.ts";
import { type CountingInput, countingMachine } from "./machine.ts";
import { countingWiring } from "./wiring.ts";

export interface CountingOptions {
  readonly component: Component;
  readonly functions: Bucket;
  readonly accounts: readonly string[];
  readonly limit: number;
  readonly timing: CountingInput["timing"];
}

/** Resolves once every reservation is known and the accounts are being rebuilt. */
export async function startCounting({
  component,
  functions,
  accounts,
  limit,
  timing,
}: CountingOptions): Promise<Population<typeof countingMachine>> {
  const reserved = new Map<string, Map<string, number>>(accounts.map((acct) => [acct, new Map()]));
  const population = new Population(component, { actor: "counting", logic: countingMachine, wiring: countingWiring });
  await new Promise<void>((upToDate, failed) => {
    functions
      .watch(({ key, value }) => {
        const [acct = "", fn = "", version] = key.split(".");
        const ofAccount = reserved.get(acct);
        if (version !== undefined || ofAccount === undefined) return;
        const record = FunctionRecord.safeParse(value);
        const before = ofAccount.get(fn);
        const now = record.success ? record.data.reservedConcurrency : undefined;
        if (before === now) return;
        if (now === undefined) ofAccount.delete(fn);
        else ofAccount.set(fn, now);
        population.send(acct, { type: "limits.changed", reserved: Object.fromEntries(ofAccount) });
      }, upToDate)
      .then((watch) => component.add({ drain: async () => watch.stop() }), failed);
  });
  population.listen();
  for (const [acct, ofAccount] of reserved) {
    population.spawn(acct, { acct, limit, reserved: Object.fromEntries(ofAccount), timing });
  }
  return population;
}
