/**
 * What a function is Pending, or an update InProgress, for: its package is read back from the store, is what its record
 * says, and unpacks whole. What already served isn't unpacked again, only looked for.
 */
import { createHash } from "node:crypto";
import type { FunctionRecord } from "../../../subjects/function.ts";
import type { CodeStore } from "../../bus/storage.ts";
import { BadPackage, unpacked } from "./zip.ts";

/** Lambda's StateReasonCodes. */
const INVALID_ZIP = "InvalidZipFileException";
const INTERNAL = "InternalError";

export type Verdict = { readonly code: string; readonly reason: string } | undefined;

/** Why the package can't be run, or `undefined` if it can. Throws when the store can't be asked. */
export async function verdictOf(store: CodeStore, { configuration, serving }: FunctionRecord): Promise<Verdict> {
  const sha256 = Buffer.from(configuration.CodeSha256, "base64").toString("hex");
  const missing = { code: INTERNAL, reason: `The package ${sha256} is not in the store.` };
  if (serving?.CodeSha256 === configuration.CodeSha256) return (await store.has(sha256)) ? undefined : missing;
  const zip = await store.get(sha256);
  if (zip === undefined) return missing;
  const found = createHash("sha256").update(zip).digest("hex");
  if (found !== sha256) return { code: INTERNAL, reason: `The package ${sha256} was read back as ${found}.` };
  try {
    await unpacked(zip);
    return undefined;
  } catch (error) {
    if (error instanceof BadPackage) return { code: INVALID_ZIP, reason: error.message };
    throw error;
  }
}
