/**
 * Invoking. A user types `mayfly.invoke.<fn>`; the server's mapping stamps the tenant into the second token, so that
 * identity is never a client's claim. Payload in, payload out, raw bytes.
 */
import { raw } from "./contract.ts";

/** Bytes of a synchronous request, and of a response in one message: 6 MiB and 100. Source: Lambda quotas. */
export const MAX_PAYLOAD_BYTES = 6_291_556;

/** What users and clients publish. */
export const UserInvoke = raw("mayfly.invoke.{fn}");
export const UserInvokeQualified = raw("mayfly.invoke.{fn}.{qualifier}");

/** What front ends hear, stamped. */
export const Invoke = raw("mayfly.{acct}.invoke.{fn}");
export const InvokeQualified = raw("mayfly.{acct}.invoke.{fn}.{qualifier}");
