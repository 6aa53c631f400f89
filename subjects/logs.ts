/** Function output: one message a line, plain text, in Lambda's own format. The stream's timestamp is the line's. */
import { raw } from "./contract.ts";

export const Log = raw("mayfly.{acct}.logs.{fn}.{sandboxId}");
