/** Event source mappings as the CLI sees them: found by the beginning of their id, waited for until a wish is so. */
import { Kvm } from "@nats-io/kv";
import { z } from "zod";
import { MappingRecord, mappingKey } from "../subjects/mapping.ts";
import { TRIGGERS_BUCKET } from "../subjects/streams.ts";
import { DEFAULT_ACCOUNT } from "../subjects/tokens.ts";
import { callApi, listAll } from "./api.ts";
import { Misused } from "./failure.ts";
import type { Session } from "./session.ts";

export const Mapping = z
  .object({
    UUID: z.string(),
    EventSourceArn: z.string(),
    FunctionArn: z.string(),
    BatchSize: z.number(),
    State: z.string(),
    StateTransitionReason: z.string(),
    LastProcessingResult: z.string(),
    LastModified: z.number(),
  })
  .loose();
export type Mapping = z.infer<typeof Mapping>;

const WAIT_MS = 10_000;
const RESTING: readonly string[] = ["Enabled", "Disabled"];
const UUID_LENGTH = 36;

export const listMappings = (session: Session, which: object = {}): Promise<Mapping[]> =>
  listAll(session, "ListEventSourceMappings", which, "EventSourceMappings", Mapping);

/** The whole id of the mapping whose id begins so. Throws `Misused` when there is none, or several. */
export async function uuidOf(session: Session, begins: string): Promise<string> {
  if (begins.length === UUID_LENGTH) return begins;
  const found = (await listMappings(session)).filter(({ UUID }) => UUID.startsWith(begins));
  const [only, another] = found;
  if (only === undefined) throw new Misused(`no trigger's id begins with "${begins}"`);
  if (another !== undefined) throw new Misused(`"${begins}" could be ${found.map(({ UUID }) => UUID).join(", ")}`);
  return only.UUID;
}

/**
 * Asks for it, and waits until the triggers have made it so: the mapping then, `undefined` when it is gone. After ten
 * seconds it is told as it is.
 */
export async function wished(
  session: Session,
  operation: string,
  body: object,
  { wait }: { readonly wait: boolean },
): Promise<Mapping | undefined> {
  const told = Mapping.parse(await callApi(session, operation, body));
  if (!wait) return told;
  const bucket = await new Kvm(session.connection).open(TRIGGERS_BUCKET);
  const changes = await bucket.watch({ key: mappingKey(DEFAULT_ACCOUNT, told.UUID) });
  const timer = setTimeout(() => changes.stop(), WAIT_MS);
  try {
    for await (const change of changes) {
      if (change.operation !== "PUT") return undefined;
      if (RESTING.includes(MappingRecord.parse(change.json()).state)) break;
    }
  } finally {
    clearTimeout(timer);
    changes.stop();
  }
  return Mapping.parse(await callApi(session, "GetEventSourceMapping", { UUID: told.UUID }));
}
