/** Which sandboxes may share bytecode: those of one function version of one account, on one build of the interpreter. Pure. */
import { createHash } from "node:crypto";
import type { FunctionSpec } from "../../subjects/function.ts";

/** The program that compiles: V8 takes only what the very same one made. */
export interface Interpreter {
  readonly version: string;
  /** Tells this file from any other that was ever in its place. */
  readonly file: string;
}

/** How a runtime puts it together: another number where that changes. */
const FORM = 2;

type Version = Pick<
  FunctionSpec,
  "acct" | "fn" | "version" | "codeSha256" | "layerSha256s" | "runtime" | "architecture"
>;

/** 64 hexadecimal digits. Whatever differs in anything named here has another. */
export function bytecodeName(of: Version, { version, file }: Interpreter): string {
  const { acct, fn, codeSha256, layerSha256s, runtime, architecture } = of;
  const parts = [FORM, acct, fn, of.version, codeSha256, layerSha256s, runtime, architecture, version, file];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}
