/** Invoking over NATS, as any client would. What `mayfly invoke` does, without its words. */
import { NoAnswer } from "../actors/bus/port.ts";
import { refusalOf } from "../actors/bus/replies.ts";
import { IllegalToken } from "../subjects/contract.ts";
import { Refused } from "../subjects/errors.ts";
import { LOG_TYPE } from "../subjects/headers.ts";
import { MAX_PAYLOAD_BYTES, UserInvoke, UserInvokeQualified } from "../subjects/invoke.ts";
import { qualifierToToken } from "../subjects/tokens.ts";
import { Misused, NotRunning } from "./failure.ts";
import { type Receipt, readReceipt } from "./receipt.ts";
import type { Session } from "./session.ts";

export interface Invocation {
  readonly fn: string;
  readonly qualifier: string | undefined;
  readonly payload: Uint8Array;
  /** Whether the end of what the call writes is wanted too. */
  readonly tail: boolean;
}

export interface Invoked {
  /** The function's answer, or its error's JSON. */
  readonly payload: Uint8Array;
  readonly receipt: Receipt;
}

/** A function may run 15 minutes, after waiting for a sandbox. */
export const LONGEST_MS = 16 * 60 * 1000;

/** A function that fails is an answer, see `receipt.functionError`. Throws `Refused`, `Misused`, `NotRunning`. */
export async function invokeFunction(session: Session, invocation: Invocation): Promise<Invoked> {
  const reply = await session.network.request(requestOf(invocation), LONGEST_MS).catch((cause: unknown) => {
    if (cause instanceof NoAnswer) throw new NotRunning(`no front end answers (${cause.message})`, { cause });
    throw cause;
  });
  const refused = refusalOf(reply);
  if (refused !== undefined) throw new Refused(refused.name, refused.message, refused.reason);
  return { payload: reply.data, receipt: readReceipt(reply) };
}

/** Throws `Refused` and `Misused`. */
export function requestOf({ fn, qualifier, payload, tail }: Invocation) {
  if (payload.length > MAX_PAYLOAD_BYTES) {
    const why = `the payload has ${payload.length} bytes, ${MAX_PAYLOAD_BYTES} are allowed`;
    throw new Refused("RequestTooLargeException", why);
  }
  return { subject: subjectOf(fn, qualifier), payload, headers: tail ? { [LOG_TYPE]: "Tail" } : {} };
}

function subjectOf(fn: string, qualifier: string | undefined): string {
  try {
    if (qualifier === undefined) return UserInvoke.subject({ fn });
    return UserInvokeQualified.subject({ fn, qualifier: qualifierToToken(qualifier) });
  } catch (error) {
    if (error instanceof IllegalToken) throw new Misused(`"${fn}" is no function's name`, { cause: error });
    throw error;
  }
}
