/**
 * The control plane's operations, by the Lambda API's names and shapes: `nats req mayfly.api.ListFunctions '{}'`.
 * A user types `mayfly.api.<Operation>`; the server stamps the tenant. Bodies are validated by the operation itself, with
 * Lambda's own messages, so the contract carries bytes.
 */
import { raw } from "./contract.ts";

export const UserApi = raw("mayfly.api.{operation}");
export const Api = raw("mayfly.{acct}.api.{operation}");
