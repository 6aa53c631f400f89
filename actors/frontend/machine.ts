/**
 * One invocation, from its arrival to its answer.
 *
 * States
 *   authenticating  whose it is and whether it is a request at all
 *   looking         the function's metadata was not in the cache
 *   admitting       waits for a token of Counting (its own front end's leases have one, when the function is warm)
 *   reserving       waits for a sandbox
 *   running         a worker has it, and answers the caller itself
 *   enqueuing       an event for later: it is being stored, nothing of it runs here
 *   done · refused  answered
 * Hears  invocation.requested (its birth) · metadata.found · metadata.missing · lease.admitted · lease.granted · lease.refused · lease.failed
 *        event.stored · event.notStored · worker.finished · worker.lost · invocation.ticked
 * Says   invoke (to the worker) · answered · reply / refuse
 * Does   look · arrive · leave (the queue) · finish · abandon (its sandbox) · enqueue (effects.ts)
 *
 * Promise: every request is answered before its deadline, with a result or a named error.
 */
import { and, assign, emit, setup } from "xstate";
import { type Refusal, refusal, workerLost } from "../../subjects/errors.ts";
import { type FunctionSpec, poolId } from "../../subjects/function.ts";
import { EVENT_TYPE, EXECUTED_VERSION, FUNCTION_ERROR, REQUEST_ID, START } from "../../subjects/headers.ts";
import { INVOKE_COMPLETE } from "../../subjects/response-stream.ts";
import type { Finished } from "../../subjects/worker.ts";
import type { Sandbox } from "./leases/policy.ts";
import { MAX_REFUSED_ATTEMPTS } from "./policy.ts";

export interface InvocationInput {
  readonly requestId: string;
  readonly acct: string;
  readonly fn: string;
  readonly qualifier: string | undefined;
  readonly replyTo: string | undefined;
  readonly payload: Uint8Array;
  readonly arrivedUs: number;
  readonly traceId: string | undefined;
  readonly clientContext: string | undefined;
  readonly tail: boolean;
  readonly dryRun: boolean;
  /** The caller is answered as the response is produced; whatever else he is told is the end of it. */
  readonly streams: boolean;
  /** And says how much of it has been read. */
  readonly acknowledges: boolean;
  /** To be stored for later. `id`: two events with the same one are stored once. */
  readonly event?: { readonly id: string | undefined } | undefined;
  /** What is wrong with the request itself. */
  readonly refused: Refusal | undefined;
  /** From the cache, when it was there. */
  readonly spec: FunctionSpec | undefined;
  readonly limits: {
    readonly reserveMs: number;
    readonly initMs: number;
    readonly graceMs: number;
    /** Between two `invocation.ticked`: deadlines here are far off, and a timer for each call would cost more than the call. */
    readonly tickMs: number;
  };
}

export interface InvocationContext extends InvocationInput {
  readonly sandbox: Sandbox | undefined;
  readonly attempts: number;
  /** Ticks it has waited: for its sandbox, then for its answer. */
  readonly ticks: number;
  readonly result: Finished | undefined;
}

export type InvocationEvent =
  /** The caller's message: what the actor is made of. */
  | { type: "invocation.requested"; request: Omit<InvocationInput, "spec" | "limits"> }
  | { type: "metadata.found"; spec: FunctionSpec }
  | { type: "metadata.missing"; refusal: Refusal }
  | { type: "lease.admitted" }
  | { type: "lease.granted"; sandbox: Sandbox }
  | { type: "lease.refused"; refusal: Refusal }
  | { type: "lease.failed"; functionError: string }
  | { type: "event.stored" }
  | { type: "event.notStored"; refusal: Refusal }
  | { type: "worker.finished"; result: Finished }
  | { type: "worker.lost"; workerId: string }
  | { type: "invocation.ticked" };

export type InvocationEmitted =
  | { type: "invoke"; invocation: InvocationContext }
  | { type: "answered"; to: string | undefined; error?: string }
  | { type: "reply"; to: string | undefined; payload: string; headers: Record<string, string> }
  | { type: "refuse"; to: string | undefined; refusal: Refusal; headers: Record<string, string> };

export const invocationMachine = setup({
  types: {
    context: {} as InvocationContext,
    input: {} as InvocationInput,
    events: {} as InvocationEvent,
    emitted: {} as InvocationEmitted,
  },
  guards: {
    hasNoSandboxInTime: ({ context: { ticks, limits } }) => ticks * limits.tickMs >= limits.reserveMs,
    hasNoAnswerInTime: ({ context: { ticks, spec, limits } }) =>
      ticks * limits.tickMs >= (spec?.timeoutMs ?? 0) + limits.initMs + limits.graceMs,
    isWrong: ({ context }) => context.refused !== undefined,
    isKnown: ({ context }) => context.spec !== undefined,
    isEvent: ({ context }) => context.event !== undefined,
    isDryRun: ({ context }) => context.dryRun,
    hasRun: ({ event }) =>
      event.type === "worker.finished" && (event.result.outcome === "ok" || event.result.outcome === "function-error"),
    wasLost: ({ event }) => event.type === "worker.finished" && event.result.outcome === "lost",
    mayTryAgain: ({ context }) => context.attempts < MAX_REFUSED_ATTEMPTS,
    runsThere: ({ context, event }) => event.type === "worker.lost" && event.workerId === context.sandbox?.workerId,
  },
  actions: {
    look: given,
    arrive: given,
    leave: given,
    finish: given,
    abandon: given,
    enqueue: given,
    remember: assign({ spec: ({ context, event }) => (event.type === "metadata.found" ? event.spec : context.spec) }),
    take: assign(({ context, event }) =>
      event.type === "lease.granted" ? { sandbox: event.sandbox, attempts: context.attempts + 1, ticks: 0 } : {},
    ),
    tick: assign({ ticks: ({ context }) => context.ticks + 1 }),
    keepResult: assign(({ event }) => (event.type === "worker.finished" ? { result: event.result } : {})),
    invoke: emit(({ context }) => ({ type: "invoke" as const, invocation: context })),
    sayAnswered: emit(({ context: { replyTo, result } }) => ({
      type: "answered" as const,
      to: replyTo,
      ...(result?.outcome === "ok" ? {} : { error: `${result?.errorType ?? "Unhandled"}` }),
    })),
    sayAccepted: emit(({ context }) => ({
      type: "reply" as const,
      to: context.replyTo,
      payload: "",
      headers: { [REQUEST_ID]: context.requestId },
    })),
    sayInitError: emit(({ context, event }) => ({
      type: "reply" as const,
      to: context.replyTo,
      payload: event.type === "lease.failed" ? event.functionError : "",
      headers: {
        [REQUEST_ID]: context.requestId,
        [EXECUTED_VERSION]: context.spec?.version ?? "",
        [FUNCTION_ERROR]: "Unhandled",
        [START]: "cold",
        ...ending(context),
      },
    })),
    refuseAsWrong: emit(({ context }) => refuse(context, context.refused as Refusal)),
    refuseAsTold: emit(({ context, event }) =>
      refuse(context, "refusal" in event ? event.refusal : refusal("ServiceException", "refused")),
    ),
    refuseLate: emit(({ context }) =>
      refuse(context, refusal("ServiceException", "no sandbox became free in time; all workers are busy")),
    ),
    refuseUnstored: emit(({ context }) =>
      refuse(context, refusal("ServiceException", "the event was not stored in time; it may still run")),
    ),
    refuseSilent: emit(({ context }) =>
      refuse(context, refusal("ServiceException", `worker ${context.sandbox?.workerId} did not answer in time`)),
    ),
    refuseLost: emit(({ context }) => refuse(context, workerLost(context.sandbox?.workerId))),
    refuseRefused: emit(({ context }) =>
      refuse(context, refusal("ServiceException", `${context.attempts} sandboxes refused the invocation`)),
    ),
  },
}).createMachine({
  id: "invocation",
  context: ({ input }) => ({ ...input, sandbox: undefined, attempts: 0, ticks: 0, result: undefined }),
  initial: "authenticating",
  states: {
    authenticating: {
      always: [
        { guard: "isWrong", target: "refused", actions: "refuseAsWrong" },
        { guard: and(["isKnown", "isDryRun"]), target: "done", actions: "sayAccepted" },
        { guard: and(["isKnown", "isEvent"]), target: "enqueuing" },
        { guard: "isKnown", target: "admitting" },
        { target: "looking" },
      ],
    },
    looking: {
      entry: "look",
      on: {
        "metadata.found": { target: "authenticating", actions: "remember" },
        "metadata.missing": { target: "refused", actions: "refuseAsTold" },
        "invocation.ticked": [
          { guard: "hasNoSandboxInTime", target: "refused", actions: "refuseLate" },
          { actions: "tick" },
        ],
      },
    },
    admitting: {
      entry: "arrive",
      on: {
        "lease.admitted": "reserving",
        "lease.granted": { target: "running", actions: ["take", "invoke"] },
        "lease.refused": { target: "refused", actions: "refuseAsTold" },
        "invocation.ticked": [
          { guard: "hasNoSandboxInTime", target: "refused", actions: ["leave", "refuseLate"] },
          { actions: "tick" },
        ],
      },
    },
    reserving: {
      on: {
        "lease.granted": { target: "running", actions: ["take", "invoke"] },
        "lease.refused": { target: "refused", actions: "refuseAsTold" },
        "lease.failed": { target: "done", actions: "sayInitError" },
        "invocation.ticked": [
          { guard: "hasNoSandboxInTime", target: "refused", actions: ["leave", "refuseLate"] },
          { actions: "tick" },
        ],
      },
    },
    enqueuing: {
      entry: "enqueue",
      on: {
        "event.stored": { target: "done", actions: "sayAccepted" },
        "event.notStored": { target: "refused", actions: "refuseAsTold" },
        "invocation.ticked": [
          { guard: "hasNoSandboxInTime", target: "refused", actions: "refuseUnstored" },
          { actions: "tick" },
        ],
      },
    },
    running: {
      on: {
        "worker.finished": [
          { guard: "hasRun", target: "done", actions: ["keepResult", "finish", "sayAnswered"] },
          { guard: "wasLost", target: "refused", actions: ["keepResult", "finish", "sayAnswered"] },
          { guard: "mayTryAgain", target: "reserving", actions: ["keepResult", "finish"] },
          { target: "refused", actions: ["abandon", "refuseRefused"] },
        ],
        "worker.lost": { guard: "runsThere", target: "refused", actions: ["abandon", "refuseLost"] },
        "invocation.ticked": [
          { guard: "hasNoAnswerInTime", target: "refused", actions: ["abandon", "refuseSilent"] },
          { actions: "tick" },
        ],
      },
    },
    done: { type: "final" },
    refused: { type: "final" },
  },
});

function refuse(invocation: InvocationContext, refused: Refusal) {
  const { replyTo, requestId } = invocation;
  const headers = { [REQUEST_ID]: requestId, ...ending(invocation) };
  return { type: "refuse" as const, to: replyTo, refusal: refused, headers };
}

const ending = ({ streams }: InvocationContext): Record<string, string> =>
  streams ? { [EVENT_TYPE]: INVOKE_COMPLETE } : {};

function given(): void {
  throw new Error("this is given by effects.ts");
}

/** Which pool's leases an invocation belongs to. */
export const leasesOf = ({ spec }: InvocationContext): string => (spec === undefined ? "" : poolId(spec));
