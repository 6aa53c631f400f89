/** Triggers: one actor for each event source mapping. Several trigger processes share the work of all. */
import { MappingRecord } from "../../subjects/mapping.ts";
import { Population } from "../bus/population.ts";
import type { Entry } from "../bus/storage.ts";
import { mappingLogic } from "./effects.ts";
import type { Surroundings } from "./surroundings.ts";
import { mappingId, mappingWiring } from "./wiring.ts";

/** Resolves once every mapping there is has been read. Ends with the component. */
export async function startTrigger(world: Surroundings): Promise<void> {
  const { component, triggers } = world;
  const { logic, idle } = mappingLogic(world);
  // Drained last: what is being run when it stops is finished, or given to others.
  component.add({ drain: idle });
  const mappings = new Population(component, { actor: "mapping", logic, wiring: mappingWiring }).listen();
  component.add({ drain: async () => mappings.sendAll({ type: "trigger.stopping" }) });
  const upToDate = Promise.withResolvers<void>();
  const watch = await triggers.watch((entry) => heard(mappings, entry), upToDate.resolve);
  component.add({ drain: async () => watch.stop() });
  await upToDate.promise;
}

function heard(mappings: Population<ReturnType<typeof mappingLogic>["logic"]>, { key, value, revision }: Entry): void {
  const [acct = "", uuid = ""] = key.split(".");
  const id = mappingId(acct, uuid);
  if (value === undefined) return void mappings.send(id, { type: "record.gone" });
  const record = MappingRecord.safeParse(value);
  if (!record.success) return;
  if (!mappings.send(id, { type: "record.read", record: record.data, revision }))
    mappings.spawn(id, { record: record.data, revision });
}
