/**
 * Sources and destinations as people type them: `subject:orders.created`, `stream:ORDERS/orders.done`, `function:audit`.
 * Whole ARNs pass as they are.
 */
import { streamDestination, subjectDestination } from "../subjects/event-invoke.ts";
import { sourceArn, sourceNamed } from "../subjects/mapping.ts";
import { Misused } from "./failure.ts";

/** Takes a destination away. */
const NONE = "none";

export const DESTINATION_WORDS = "subject:<subject>, stream:<NAME>/<subject>, function:<name>, an ARN, or none";
export const SOURCE_WORDS =
  'subject:<subject>, stream:<NAME>[/<subject>], bucket:<NAME>[/<keys>], objects:<NAME>, "rate(5 minutes)", "cron(…)", "at(…)", or an ARN';

/** `functionArn` is of a function of the same account, unqualified; empty for `none`. */
export function destinationFrom(text: string, functionArn: string): string {
  if (text === NONE || text.startsWith("arn:")) return text === NONE ? "" : text;
  const { kind, rest } = split(text);
  if (kind === "subject") return subjectDestination(rest);
  if (kind === "function") return `${functionArn.split(":").slice(0, 6).join(":")}:${rest}`;
  const slash = rest.indexOf("/");
  if (kind === "stream" && slash > 0) return streamDestination(rest.slice(0, slash), rest.slice(slash + 1));
  throw new Misused(`"${text}" is no destination: ${DESTINATION_WORDS}`);
}

export function sourceFrom(text: string): string {
  if (text.startsWith("arn:")) return text;
  if (/^(rate|cron|at)\(/.test(text)) return sourceArn({ kind: "schedule", expression: text, timeZone: "UTC" });
  const { kind, rest } = split(text);
  const source = kind === "schedule" ? undefined : sourceNamed(`arn:aws:nats:::${kind}/${rest}`);
  if (source === undefined) throw new Misused(`"${text}" is no source of yours: ${SOURCE_WORDS}`);
  return sourceArn(source);
}

/** A source or destination, short again. */
export const placeText = (arn: string): string =>
  arn.replace(/^arn:aws:nats:::schedule\//, "").replace(/^arn:aws:nats:::(\w+)\//, "$1:");

function split(text: string): { kind: string; rest: string } {
  const colon = text.indexOf(":");
  return colon < 1 ? { kind: "", rest: text } : { kind: text.slice(0, colon), rest: text.slice(colon + 1) };
}
