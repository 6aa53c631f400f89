/** Dead letters: stream DEAD, an ordinary one. Payload: the original event; the headers of subjects/headers.ts say why. */
import { raw } from "./contract.ts";

export const Dead = raw("mayfly.{acct}.dead.{fn}");
