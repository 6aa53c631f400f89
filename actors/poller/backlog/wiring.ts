/** A backlog is told of its function's events by its poller, who hears hints and counts: nothing on the network is addressed to it. */
import type { Wiring } from "../../bus/wiring.ts";
import type { backlogMachine } from "./machine.ts";

export const backlogKey = (acct: string, fn: string): string => `${acct}-${fn}`;

export const backlogWiring: Wiring<typeof backlogMachine> = { hears: [], says: {} };
