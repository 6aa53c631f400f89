/** Dead letters: stream DEAD, an ordinary one. Payload: the original event; the headers of subjects/headers.ts say why. */
import { raw } from "./contract.ts";

/** Stands for the function where the event's subject names what can be none; the header `Mayfly-Original-Subject` tells it. */
export const UNKNOWN = "unknown";

export const Dead = raw("mayfly.{acct}.dead.{fn}");
