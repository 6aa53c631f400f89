/**
 * Invoking. A user types `mayfly.invoke.<fn>`; the server's mapping stamps the tenant into the second token, so that
 * identity is never a client's claim. Payload in, payload out, raw bytes.
 */
import { raw } from "./contract.ts";

/** What users and clients publish. */
export const UserInvoke = raw("mayfly.invoke.{fn}");
export const UserInvokeQualified = raw("mayfly.invoke.{fn}.{qualifier}");

/** What front ends hear, stamped. */
export const Invoke = raw("mayfly.{acct}.invoke.{fn}");
export const InvokeQualified = raw("mayfly.{acct}.invoke.{fn}.{qualifier}");
