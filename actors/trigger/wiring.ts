/**
 * A mapping's relation to the network: none of its own subjects. What it is to do it reads in its record, and what it says
 * of itself stands there too; records of its source come by sources/, and leave to the front ends as RunEvent and Enqueue.
 */
import type { Wiring } from "../bus/wiring.ts";
import type { mappingMachine } from "./machine.ts";

/** One machine per mapping: the key is also its id on the wire, so it is a token. */
export const mappingId = (acct: string, uuid: string): string => `${acct}-${uuid}`;

export const mappingWiring: Wiring<typeof mappingMachine> = { hears: [], says: {} };
