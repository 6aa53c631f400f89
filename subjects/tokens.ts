/**
 * Names that appear as subject tokens, and how Lambda's are written there.
 * Source: Lambda API (`FunctionName`, `Qualifier`); NATS ADR-6 (restricted terms).
 */
import { z } from "zod";
import { isToken } from "./contract.ts";

/** A tenant: twelve digits, as an AWS account. */
export const AccountId = z.string().regex(/^\d{12}$/);

/** The tenant of the embedded default, stamped by the server's subject mapping. */
export const DEFAULT_ACCOUNT = "000000000000";

export const Token = z.string().refine(isToken, "must be letters, digits, _ or -");

/** The unpublished version. `$` is no token, so the wire says `latest`. */
export const LATEST = "$LATEST";
const LATEST_ON_THE_WIRE = "latest";

export const qualifierToToken = (qualifier: string): string => (qualifier === LATEST ? LATEST_ON_THE_WIRE : qualifier);
export const tokenToQualifier = (token: string): string => (token === LATEST_ON_THE_WIRE ? LATEST : token);
