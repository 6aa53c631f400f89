/** Asks any front end to run something for a mapping, and says what came of it. */
import { type EventCall, RunEvent } from "../../subjects/async.ts";
import * as H from "../../subjects/headers.ts";
import type { MappingRecord } from "../../subjects/mapping.ts";
import type { Message, Network } from "../bus/port.ts";
import { failedItemsIn, type Outcome, outcomeOfRefusal } from "./policy.ts";

export interface Run {
  readonly requestId: string;
  /** From 1. */
  readonly attempt: number;
  readonly payload: string;
  readonly traceId?: string | undefined;
  /** How long a front end may take: it answers before. */
  readonly timeoutMs: number;
}

const decoder = new TextDecoder();

/** Resolves with the front end's answer, be it a refusal. Rejects with `NoAnswer`. */
export function ask(
  network: Network,
  { acct, fn, qualifier }: Pick<MappingRecord, "acct" | "fn" | "qualifier">,
  { requestId, attempt, payload, traceId, timeoutMs }: Run,
): Promise<Message> {
  const call: EventCall = {
    requestId,
    attempt,
    ...(qualifier === undefined ? {} : { qualifier }),
    ...(traceId === undefined ? {} : { traceId }),
  };
  const said = {
    subject: RunEvent.subject({ acct, fn }),
    payload,
    headers: { [H.EVENT_CALL]: JSON.stringify(call) },
  };
  return network.request(said, timeoutMs);
}

/** What an answer means to a batch whose records have these ids. */
export function outcomeOf(answer: Message, reportsItemFailures: boolean, ids: ReadonlySet<string>): Outcome {
  const refused = answer.header(H.ERROR_CODE);
  if (refused !== undefined) return outcomeOfRefusal(Number(refused), answer.header(H.ERROR) ?? "refused");
  const version = answer.header(H.EXECUTED_VERSION);
  const functionError = answer.header(H.FUNCTION_ERROR);
  if (functionError !== undefined)
    return { kind: "error", statusCode: 200, functionError, ...(version === undefined ? {} : { version }) };
  return { kind: "ok", failedItems: reportsItemFailures ? failedItemsIn(decoder.decode(answer.data), ids) : [] };
}
