/** An event comes out of a queue and asks one front end at a time: nothing on the network is addressed to it. */
import type { Wiring } from "../bus/wiring.ts";
import type { eventMachine } from "./machine.ts";

export const eventWiring: Wiring<typeof eventMachine> = { hears: [], says: {} };
