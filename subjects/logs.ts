/**
 * Function output: one message a line, plain text, in Lambda's own format. The stream's timestamp is the line's. Only the
 * END and the REPORT of an invocation share a message: they are said together, and a message costs more than a line.
 */
import { raw } from "./contract.ts";

export const Log = raw("mayfly.{acct}.logs.{fn}.{sandboxId}");

/** An END and its REPORT, and nothing else: a function's own line may hold line feeds and is one all the same. */
const ENDING = /^END RequestId: \S+\nREPORT RequestId: [^\n]*$/;

/** The lines in a message's text. */
export const linesIn = (text: string): readonly string[] => (ENDING.test(text) ? text.split("\n") : [text]);
