/** Schedules of event source mappings, kept by the server in the stream SCHEDULES until a trigger turns each tick into an event. */
import { raw } from "./contract.ts";

/** The schedule itself: one message for each mapping, with the headers the server goes by. */
export const Schedule = raw("mayfly.{acct}.schedule.mapping.{uuid}");
/** Its time has come: published by the server, into the same stream. */
export const Tick = raw("mayfly.{acct}.tick.mapping.{uuid}");
