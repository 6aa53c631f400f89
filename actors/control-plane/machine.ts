/**
 * One function's life, as its record in the bucket tells it.
 *
 *   unread ─► pending ─► active ◄─► updating      unread   born, the record not looked at yet
 *                │          │                     pending  created; its package is being looked at
 *                └► failed  └──► deleting ─► gone updating a change is being looked at; the old one serves
 *
 * Hears    every command (commands.ts), from callers and from its own effects; `command.kept`: what came of the first in
 *          line; `record.overheard`: the record has unfinished work that perhaps nobody here does.
 * Says     `reply` and `refuse`, to callers.
 * Promises Commands are taken one at a time, in the order they came; each is decided on the record as it is then (policy.ts)
 *          and answered once that is kept. So the state here never runs ahead of the bucket, and whoever reads the bucket
 *          after a crash goes on where this one stopped: unfinished work begins again on entry to its state.
 */
import { assign, type EventObject, enqueueActions, fromCallback, fromPromise, raise, setup } from "xstate";
import { type Refusal, refusal } from "../../subjects/errors.ts";
import type { FunctionRecord } from "../../subjects/function.ts";
import { type Command, type LifeState, lifeOf, type Outcome, resumption } from "./commands.ts";

export interface FunctionInput {
  readonly acct: string;
  readonly fn: string;
}

export type CommandKept = { readonly type: "command.kept"; readonly outcome: Outcome };
export type FunctionEvent = Command | CommandKept | { readonly type: "record.overheard"; readonly atOnce: boolean };

type FunctionEmitted =
  | { readonly type: "reply"; readonly to: string; readonly body: object }
  | { readonly type: "refuse"; readonly to: string; readonly refusal: Refusal };

interface FunctionContext extends FunctionInput {
  /** As last read or written. */
  readonly record: FunctionRecord | undefined;
  /** Commands in the order they came; the first is being worked on. */
  readonly line: readonly Command[];
}

/** What came of looking at a package: a fact to be kept like any command. */
export type PackageFact = Command<"package.verified"> | Command<"package.refused">;

const notProvided = () => Promise.reject(new Error("the effect is not provided"));

const parts = setup({
  types: {
    input: {} as FunctionInput,
    context: {} as FunctionContext,
    events: {} as FunctionEvent,
    emitted: {} as FunctionEmitted,
  },
  actors: {
    /** Decides and keeps one command; says `command.kept` once. */
    keep: fromCallback<EventObject, { command: Command }>(() => {}),
    verify: fromPromise<PackageFact, { record: FunctionRecord | undefined }>(notProvided),
    /** Removes what is left of a function whose record is marked as being deleted. */
    erase: fromPromise<void, FunctionInput>(notProvided),
  },
  guards: {
    isLost: ({ event }) => event.type === "command.kept" && event.outcome.kind === "lost",
    isOwnFactLost: ({ context, event }) =>
      event.type === "command.kept" &&
      event.outcome.kind === "lost" &&
      context.line[0]?.type.startsWith("package.") === true,
    isLostAndLast: ({ context, event }) =>
      event.type === "command.kept" && event.outcome.kind === "lost" && context.line.length <= 1,
    isAbsentAndLast: ({ context, event }) => lifeOf(keptRecord(event)) === "absent" && context.line.length <= 1,
    isDeletionBegun: ({ context, event }) =>
      lifeOf(keptRecord(event)) === "deleting" &&
      context.line[0]?.type === "function.delete" &&
      event.type === "command.kept" &&
      event.outcome.kind === "written",
    isLastBesideDeletion: ({ context }) =>
      context.line.length === (context.line[0]?.type === "function.delete" ? 1 : 0),
    isNow: ({ event }, life: LifeState) => lifeOf(keptRecord(event)) === life,
    /** The record may have changed, but the life it tells is the one being led, and so is the work in it. */
    isUnmoved: ({ context, event }) => phaseOf(context.record) === phaseOf(keptRecord(event)),
  },
  delays: {
    retry: 1000,
    /** Long enough for the one who began the work to finish it; none for `atOnce`. */
    overheard: 5000,
  },
  actions: {
    remember: assign({ record: ({ event }) => keptRecord(event) }),
    forget: assign({ record: undefined }),
    /** To the end of the line; the first is begun with at once. */
    queue: enqueueActions(({ context, event, enqueue }) => {
      const command = event as Command;
      enqueue.assign({ line: [...context.line, command] });
      if (context.line.length === 0) enqueue.spawnChild("keep", { id: "keep", input: { command } });
    }),
    /** To the end of the line, which waits. */
    queueOnly: assign({ line: ({ context, event }) => [...context.line, event as Command] }),
    /** The first leaves the line, the next is begun with. */
    next: enqueueActions(({ context, enqueue }) => {
      const [, next] = context.line;
      enqueue.stopChild("keep");
      enqueue.assign({ line: context.line.slice(1) });
      if (next !== undefined) enqueue.spawnChild("keep", { id: "keep", input: { command: next } });
    }),
    leave: enqueueActions(({ context, enqueue }) => {
      enqueue.stopChild("keep");
      enqueue.assign({ line: context.line.slice(1) });
    }),
    stopKeeping: enqueueActions(({ enqueue }) => enqueue.stopChild("keep")),
    /** Answers the first in line with what came of it. */
    answer: enqueueActions(({ context, event, enqueue }) => {
      const to = context.line[0]?.to;
      if (to === undefined || event.type !== "command.kept") return;
      const { outcome } = event;
      if (outcome.kind === "refused" || outcome.kind === "lost")
        enqueue.emit({ type: "refuse", to, refusal: outcome.refusal });
      else enqueue.emit({ type: "reply", to, body: outcome.body });
    }),
    /** Nothing is left: answers the deletion that waits for it, and takes up the line again. */
    finishDeletion: enqueueActions(({ context, enqueue }) => {
      const [first, ...others] = context.line;
      const line = first?.type === "function.delete" ? others : context.line;
      if (first?.type === "function.delete" && first.to !== undefined)
        enqueue.emit({ type: "reply", to: first.to, body: {} });
      enqueue.assign({ line, record: undefined });
      const [next] = line;
      if (next !== undefined) enqueue.spawnChild("keep", { id: "keep", input: { command: next } });
    }),
    resumeLater: raise(({ context }) => resumption(context.acct, context.fn), { delay: "overheard", id: "resume" }),
  },
});

/** Settling the outcome is a command like others; when the bucket can't be asked, it is looked at again after a while. */
const looking = parts.createStateConfig({
  initial: "verifying",
  on: { "record.overheard": {} },
  states: {
    verifying: {
      invoke: {
        src: "verify",
        input: ({ context }) => ({ record: context.record }),
        onDone: { target: "settling", actions: raise(({ event }) => event.output) },
        onError: "waiting",
      },
    },
    settling: { on: { "command.kept": { guard: "isOwnFactLost", target: "waiting", actions: "next" } } },
    waiting: { after: { retry: "verifying" } },
  },
});

export const functionMachine = parts.createMachine({
  id: "function",
  context: ({ input }) => ({ ...input, record: undefined, line: [] }),
  initial: "unread",
  on: {
    "function.*": { actions: "queue" },
    "version.*": { actions: "queue" },
    "alias.*": { actions: "queue" },
    "concurrency.*": { actions: "queue" },
    "event-invoke.*": { actions: "queue" },
    "queue.*": { actions: "queue" },
    "egress.*": { actions: "queue" },
    "tags.*": { actions: "queue" },
    "package.*": { actions: "queue" },
    "record.overheard": { actions: "resumeLater" },
    "command.kept": [
      { guard: "isLost", actions: ["answer", "next"] },
      { guard: "isDeletionBegun", target: ".deleting", actions: ["remember", "stopKeeping"] },
      { guard: { type: "isNow", params: "deleting" }, target: ".deleting", actions: ["answer", "remember", "leave"] },
      { guard: "isAbsentAndLast", target: ".gone", actions: ["answer", "leave"] },
      { guard: { type: "isNow", params: "absent" }, target: ".unread", actions: ["answer", "forget", "next"] },
      { guard: "isUnmoved", actions: ["answer", "remember", "next"] },
      { guard: { type: "isNow", params: "pending" }, target: ".pending", actions: ["answer", "remember", "next"] },
      { guard: { type: "isNow", params: "updating" }, target: ".updating", actions: ["answer", "remember", "next"] },
      { guard: { type: "isNow", params: "failed" }, target: ".failed", actions: ["answer", "remember", "next"] },
      { target: ".active", actions: ["answer", "remember", "next"] },
    ],
  },
  states: {
    unread: {
      on: { "command.kept": { guard: "isLostAndLast", target: "gone", actions: ["answer", "leave"] } },
    },
    pending: looking,
    active: {},
    updating: looking,
    failed: {},
    deleting: {
      initial: "erasing",
      on: {
        "record.overheard": {},
        "function.*": { actions: "queueOnly" },
        "version.*": { actions: "queueOnly" },
        "alias.*": { actions: "queueOnly" },
        "concurrency.*": { actions: "queueOnly" },
        "event-invoke.*": { actions: "queueOnly" },
        "queue.*": { actions: "queueOnly" },
        "egress.*": { actions: "queueOnly" },
        "tags.*": { actions: "queueOnly" },
        "package.*": { actions: "queueOnly" },
      },
      states: {
        erasing: {
          invoke: {
            src: "erase",
            input: ({ context: { acct, fn } }) => ({ acct, fn }),
            onDone: [
              { guard: "isLastBesideDeletion", target: "#function.gone", actions: "finishDeletion" },
              { target: "#function.unread", actions: "finishDeletion" },
            ],
            onError: "waiting",
          },
        },
        waiting: { after: { retry: "erasing" } },
      },
    },
    gone: { type: "final" },
  },
});

function keptRecord(event: FunctionEvent): FunctionRecord | undefined {
  return event.type === "command.kept" && event.outcome.kind !== "lost" ? event.outcome.record : undefined;
}

/** A state of life, and for work under way the revision it is about. */
function phaseOf(record: FunctionRecord | undefined): string {
  const life = lifeOf(record);
  return life === "pending" || life === "updating" ? `${life} ${record?.configuration.RevisionId}` : life;
}

/** The outcome of a command that met a failure of the world: nothing is known of the record, the caller may ask again. */
export const lost = (why: unknown): Outcome => ({
  kind: "lost",
  refusal: refusal("ServiceException", why instanceof Error ? why.message : String(why)),
});
