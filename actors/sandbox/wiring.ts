/** A sandbox's relation to the network: who invokes and stops it, and where its answers, reports and log lines go. */
import { workerLost } from "../../subjects/errors.ts";
import * as H from "../../subjects/headers.ts";
import { Log } from "../../subjects/logs.ts";
import { awaited, chunks, completion, INVOKE_COMPLETE, type Sent, Taken } from "../../subjects/response-stream.ts";
import { Call, Finished, InvokeSandbox, SandboxReport, StopSandbox } from "../../subjects/worker.ts";
import { Grant } from "../../subjects/worker-manager.ts";
import type { Message, Said } from "../bus/port.ts";
import { refusalSaid } from "../bus/replies.ts";
import { hear, hearRaw, say, type Wiring } from "../bus/wiring.ts";
import { closingLines, initClosingLines, initOpeningLines, openingLines, receipt, type Spent, spent } from "./lines.ts";
import { TAIL_BYTES } from "./log-tail.ts";
import type { Job, SandboxContext, sandboxMachine } from "./machine.ts";
import type { Outcome } from "./outcome.ts";

export function sandboxWiring(workerId: string): Wiring<typeof sandboxMachine> {
  return {
    hears: [
      hearRaw(InvokeSandbox, {
        at: { workerId },
        endpoint: "invoke",
        key: (_, { address }) => address.sandboxId,
        absent: ({ message, address }) => refusedSaid(callOf(message), address.sandboxId ?? "", "SandboxDead", false),
        toEvent: (payload, { message, us, at }) => ({ type: "sandbox.invoke", call: callOf(message), payload, us, at }),
      }),
      hearRaw(Taken, {
        at: { workerId },
        key: (_, { address }) => address.sandboxId,
        toEvent: (_, { message, address: { requestId, bytes }, us }) =>
          message.isNobody
            ? { type: "reader.lost", requestId, us }
            : { type: "reader.took", requestId, bytes: Number(bytes) },
      }),
      hear(StopSandbox, {
        at: { workerId },
        key: (_, { address }) => address.sandboxId,
        toEvent: ({ reason, atOnce }, { us }) => ({ type: "sandbox.stop", reason, us, atOnce }),
      }),
    ],
    says: {
      initBegan: ({ sandbox }) => initOpeningLines(sandbox).map((line) => logSaid(sandbox, line)),
      initEnded: ({ sandbox }) => initClosingLines(sandbox).map((line) => logSaid(sandbox, line)),
      started: ({ sandbox, job }) => openingLines(sandbox, job).map((line) => logSaid(sandbox, line)),
      refused: ({ sandbox, call, why, alive }) => refusedSaid(call, sandbox.sandboxId, why, alive),
      reported: ({ sandbox, state, reason, error, fault }) => {
        const grantedTo = state === "idle" ? sandbox.wantedBy : undefined;
        const report = say(SandboxReport, sandbox, {
          poolId: sandbox.poolId,
          state,
          reason,
          ...(grantedTo === undefined ? {} : { grantedTo }),
          ...(error === undefined ? {} : { functionError: error.payload }),
          ...(fault === undefined ? {} : { hostFault: fault.text }),
        });
        return grantedTo === undefined ? report : [grantSaid(sandbox, grantedTo), report];
      },
      streamed: ({ sandbox, job, contentType, payload }) =>
        chunksSaid(job, { payload, contentType }, sandbox.streamed, takenAt(sandbox, job)),
      awaited: ({ sandbox, job }) => awaitedSaid(sandbox, job),
      returned: ({ sandbox, job, outcome }) => returnedSaid(sandbox, job, outcome),
      finished: ({ sandbox, job, outcome }) => finishedSaid(sandbox, job, outcome),
    },
  };
}

/** Idle is said once in a life: it was made for one front end, and whoever comes later is the worker manager's affair. */
const grantSaid = ({ poolId, sandboxId, workerId }: SandboxContext, frontendId: string): Said =>
  say(Grant, { frontendId, poolId }, { sandboxId, workerId });

/** Throws where the header is no call: nothing is run that couldn't be answered. */
const callOf = (message: Message): Call => Call.parse(JSON.parse(message.header(H.CALL) ?? "{}"));

export const logSaid = (sandbox: Pick<SandboxContext, "spec" | "sandboxId">, line: string): Said => ({
  subject: Log.subject({ acct: sandbox.spec.acct, fn: sandbox.spec.fn, sandboxId: sandbox.sandboxId }),
  payload: line,
  isNews: true,
});

function refusedSaid(call: Call, sandboxId: string, why: string, alive: boolean): Said {
  const refused = {
    sandboxId,
    outcome: "refused",
    errorType: why,
    cold: false,
    createUs: 0,
    initUs: 0,
    runUs: 0,
    alive,
  };
  return { ...say(Finished, call, { ...refused, outcome: "refused" }), error: why };
}

/** The front end hears first, then the caller: a caller who calls again at once finds the sandbox free. */
function finishedSaid(sandbox: SandboxContext, job: Job, outcome: Outcome): readonly Said[] {
  const time = spentOn(sandbox, job, outcome);
  const failed = outcome.kind !== "ok";
  const finished: Said = {
    ...(failed ? { error: outcome.error.errorType } : {}),
    ...say(Finished, job.call, {
      sandboxId: sandbox.sandboxId,
      outcome: outcome.kind === "lost" ? "lost" : failed ? "function-error" : "ok",
      ...(failed ? { errorType: outcome.error.errorType } : {}),
      cold: job.cold,
      createUs: time.createUs,
      initUs: time.initUs,
      runUs: time.runUs,
      alive: sandbox.leaving === "",
    }),
  };
  const answer = sandbox.returned === null ? returnedSaid(sandbox, job, outcome) : [];
  const lines = closingLines(sandbox, job, outcome, time).map((line) => logSaid(sandbox, line));
  return [finished, ...answer, ...lines];
}

/** To the caller. */
function returnedSaid(sandbox: SandboxContext, job: Job, outcome: Outcome): readonly Said[] {
  if (job.call.replyTo === undefined) return [];
  if (outcome.kind === "lost") return [lostSaid(job.call, job.call.replyTo, sandbox.workerId)];
  const time = spentOn(sandbox, job, outcome);
  const payload = outcome.kind === "ok" ? outcome.payload : outcome.error.payload;
  const headers = replyHeaders(sandbox, job, outcome, time);
  const answer = { subject: job.call.replyTo, headers, isAnswer: true };
  if (!job.call.streams) return [{ ...answer, payload }];
  const { streamed } = sandbox;
  const last = outcome.kind === "ok" ? chunksSaid(job, { payload: outcome.payload, contentType: "" }, streamed) : [];
  Object.assign(headers, completion(streamed.messages + last.length));
  return [...last, { ...answer, payload: outcome.kind === "ok" ? "" : payload }];
}

/** As a front end says it that has heard of the loss. */
function lostSaid({ requestId, streams }: Call, replyTo: string, workerId: string): Said {
  const end = streams ? { [H.EVENT_TYPE]: INVOKE_COMPLETE } : {};
  return refusalSaid(replyTo, workerLost(workerId), { [H.REQUEST_ID]: requestId, ...end });
}

/** A piece of the response, after what has been sent of it. */
function chunksSaid(
  { call: { replyTo, requestId } }: Job,
  piece: { readonly payload: Uint8Array; readonly contentType: string },
  sent: Sent,
  takenAt?: (bytes: number) => string,
): readonly Said[] {
  if (replyTo === undefined) return [];
  return [...chunks({ ...piece, requestId, takenAt }, sent)].map((chunk) => ({ ...chunk, subject: replyTo }));
}

function awaitedSaid(sandbox: SandboxContext, job: Job): Said | undefined {
  const { replyTo, requestId } = job.call;
  const at = takenAt(sandbox, job);
  return replyTo && at ? { ...awaited(requestId, at(sandbox.streamed.bytes)), subject: replyTo } : undefined;
}

const takenAt = ({ workerId, sandboxId }: SandboxContext, { call: { acknowledges, requestId } }: Job) =>
  acknowledges && ((bytes: number) => Taken.subject({ workerId, sandboxId, requestId, bytes: String(bytes) }));

function spentOn(sandbox: SandboxContext, job: Job, outcome: Outcome): Spent {
  const tookUs = outcome.kind === "timeout" ? sandbox.spec.timeoutMs * 1000 : outcome.us - job.startedUs;
  return spent(sandbox, job, Math.max(0, Math.round(tookUs)));
}

function replyHeaders(sandbox: SandboxContext, job: Job, outcome: Outcome, time: Spent) {
  const headers: Record<string, string> = {
    [H.REQUEST_ID]: job.call.requestId,
    [H.EXECUTED_VERSION]: sandbox.spec.version,
    [H.START]: job.cold ? "cold" : "warm",
    [H.RECEIPT]: receipt(time),
    [H.RAN_ON]: `${sandbox.workerId}/${sandbox.sandboxId} ${sandbox.isolation}`,
  };
  if (outcome.kind !== "ok") headers[H.FUNCTION_ERROR] = "Unhandled";
  if (job.call.tail) {
    const written = outcome.kind === "timeout" ? undefined : outcome.usage.tail;
    const asText = (lines: readonly string[]) => lines.map((line) => `${line}\n`).join("");
    const init = `${written?.init ?? ""}${asText(job.bootsAgain ? initClosingLines(sandbox) : [])}`;
    const [before, after] = [openingLines(sandbox, job), closingLines(sandbox, job, outcome, time)];
    const tail = Buffer.from(`${init}${asText(before)}${written?.event ?? ""}${asText(after)}`);
    headers[H.LOG_RESULT] = tail.subarray(-TAIL_BYTES).toString("base64");
  }
  return headers;
}
