/** What the platform tells of an invocation beside its answer, read from the reply's headers. */
import type { Message } from "../actors/bus/port.ts";
import * as H from "../subjects/headers.ts";
import { dimRemark, msText } from "./print.ts";

export interface Receipt {
  readonly requestId: string | undefined;
  readonly version: string | undefined;
  /** Absent when the function answered. */
  readonly functionError: string | undefined;
  readonly start: string | undefined;
  /** Microseconds by step, in the order they happened: queued, create, init, run. */
  readonly us: Readonly<Record<string, number>>;
  /** Its sandbox was booted before it was needed. */
  readonly isFromStem: boolean;
  readonly sandbox: string | undefined;
  readonly isolation: string | undefined;
  /** The end of what it wrote, where that was asked for. */
  readonly log: string | undefined;
}

export function readReceipt(reply: Message): Receipt {
  const [sandbox, isolation] = (reply.header(H.RAN_ON) ?? "").split(" ");
  const log = reply.header(H.LOG_RESULT);
  const spent = reply.header(H.RECEIPT) ?? "";
  const steps = spent.matchAll(/(\w+)=(\d+)/g);
  return {
    requestId: reply.header(H.REQUEST_ID),
    version: reply.header(H.EXECUTED_VERSION),
    functionError: reply.header(H.FUNCTION_ERROR),
    start: reply.header(H.START),
    us: Object.fromEntries([...steps].map(([, step = "", us]) => [step, Number(us)])),
    isFromStem: spent.includes("from=stem-cell"),
    sandbox: sandbox === "" ? undefined : sandbox,
    isolation,
    log: log === undefined ? undefined : Buffer.from(log, "base64").toString("utf8"),
  };
}

/** `warm, 1.34 ms (queued 0.21 ms, run 1.13 ms) on w1/s7, bubblewrap, request …`: steps that took no time are left out. */
export function receiptText(receipt: Receipt): string {
  const { requestId, version, functionError, us, sandbox, isolation } = receipt;
  const start = receipt.isFromStem ? `${receipt.start} from a stem cell` : receipt.start;
  const steps = Object.entries(us).filter(([, spent]) => spent > 0);
  const total = steps.reduce((sum, [, spent]) => sum + spent, 0);
  const detail = steps.map(([step, spent]) => `${step} ${msText(spent)}`).join(", ");
  const parts = [
    functionError === undefined ? start : `${start ?? ""} FAILED (${functionError})`.trim(),
    `${msText(total)}${detail === "" ? "" : ` (${detail})`}`,
    sandbox === undefined ? undefined : `on ${sandbox}`,
    isolation,
    version === undefined ? undefined : `version ${version}`,
    requestId === undefined ? undefined : `request ${requestId}`,
  ];
  return dimRemark(parts.filter((part) => part !== undefined).join(" · "));
}
