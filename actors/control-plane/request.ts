/** How a request is read: who asks is in the subject, stamped by the server; what is asked is JSON. */
import { Refused } from "../../subjects/errors.ts";
import type { AccountOptions } from "./account.ts";
import { type Body, Constraints } from "./validation/constraints.ts";
import type { Caller } from "./validation/names.ts";

const decoder = new TextDecoder();

export interface Request {
  readonly check: Constraints;
  readonly caller: Caller;
}

/** Throws `Refused` for JSON that is none, and for accounts this control plane doesn't serve. */
export function readRequest(acct: string, data: Uint8Array, account: AccountOptions): Request {
  const { accounts, region, offered } = account;
  if (!accounts.includes(acct)) throw new Refused("AccessDeniedException", `account ${acct} is not served here`);
  return {
    caller: { acct, region, ...(offered === undefined ? {} : { offered }) },
    check: new Constraints(bodyOf(data)),
  };
}

function bodyOf(data: Uint8Array): Body {
  if (data.length === 0) return {};
  let body: unknown;
  try {
    body = JSON.parse(decoder.decode(data));
  } catch (error) {
    throw unreadable(error instanceof Error ? error.message : String(error));
  }
  if (typeof body === "object" && body !== null && !Array.isArray(body)) return body as Body;
  throw unreadable("a JSON object is expected");
}

const unreadable = (why: string): Refused =>
  new Refused("InvalidRequestContentException", `Could not parse request body into json: ${why}`);
