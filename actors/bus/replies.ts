/** How an answer and a refusal look on the wire, and how a refusal is read back. */
import { ERRORS, errorBody, Refusal, refusal } from "../../subjects/errors.ts";
import { ERROR, ERROR_CODE } from "../../subjects/headers.ts";
import type { Message, Said } from "./port.ts";

const ONE_LINE = /[\r\n]+/g;

/** A refusal: code and name in the service headers of ADR-32, Lambda's error body as the payload. */
export function refusalSaid(to: string, refused: Refusal, headers: Readonly<Record<string, string>> = {}): Said {
  return {
    subject: to,
    payload: JSON.stringify(errorBody(refused)),
    headers: {
      ...headers,
      [ERROR_CODE]: String(ERRORS[refused.name]),
      [ERROR]: `${refused.name}: ${refused.message.replace(ONE_LINE, " ")}`,
    },
  };
}

/** The refusal in a reply, if it is one. */
export function refusalOf(message: Message): Refusal | undefined {
  const error = message.header(ERROR);
  if (error === undefined) return undefined;
  const colon = error.indexOf(": ");
  const parsed = Refusal.shape.name.safeParse(error.slice(0, colon));
  const reason = reasonOf(message);
  return parsed.success
    ? refusal(parsed.data, error.slice(colon + 2), reason)
    : refusal("ServiceException", error, reason);
}

function reasonOf(message: Message): string | undefined {
  try {
    const body: unknown = JSON.parse(new TextDecoder().decode(message.data));
    if (typeof body === "object" && body !== null && "Reason" in body) return String(body.Reason);
  } catch {
    // The headers are the contract; a body without a reason is a refusal all the same.
  }
  return undefined;
}
