/**
 * One event source mapping, as one trigger process lives it. Its states are those its owner sees in the Lambda API.
 *
 *   Creating · Enabling · Updating   the source is being made ready ─► Enabled, or Disabled if its owner wants no events
 *   Enabled       working: records are taken and run · stumbling: the source went away, it is tried again
 *   Disabling     nothing new is taken ─► Disabled
 *   Deleting      what the mapping had in the source is removed, then its record ─► gone
 *   In each, `failing` waits for another try. `left`: this process no longer lives it, others may.
 * Hears    record.read: its record in the bucket, at each change · record.gone · work.lost · trigger.stopping
 * Does     prepare · listen · work · rest · remove · settle · complain (effects.ts)
 *
 * Promises The record is the truth: every process does each step, all of which may be done twice; who is first with a step's
 *          end writes it by compare-and-set, and all follow what they read. A mapping whose owner wants it to run is tried for
 *          ever; one that nobody may have is Disabled, with the reason.
 */
import { assign, fromCallback, fromPromise, setup } from "xstate";
import type { MappingRecord } from "../../subjects/mapping.ts";
import { isSameWish } from "./policy.ts";

export interface MappingInput {
  readonly record: MappingRecord;
  /** Of the record in the bucket. */
  readonly revision: number;
}

export interface MappingContext extends MappingInput {
  /** Why it doesn't go on, while it doesn't. */
  readonly trouble: string;
}

export type MappingEvent =
  | { readonly type: "record.read"; readonly record: MappingRecord; readonly revision: number }
  | { readonly type: "record.gone" }
  | { readonly type: "work.lost"; readonly why: string }
  | { readonly type: "trigger.stopping" };

/** What preparing found: the source is ready, or it can never be for this mapping. */
export type Prepared = { readonly ready: true } | { readonly ready: false; readonly why: string };

export interface Settling {
  readonly record: MappingRecord;
  readonly state: MappingRecord["state"];
  readonly reason: string;
}

const notProvided = () => Promise.reject(new Error("the effect is not provided"));

const parts = setup({
  types: {
    input: {} as MappingInput,
    context: {} as MappingContext,
    events: {} as MappingEvent,
  },
  actors: {
    prepare: fromPromise<Prepared, MappingRecord>(notProvided),
    /** Takes and runs records as long as it is there; says `work.lost` when it no longer can. */
    work: fromCallback<MappingEvent, MappingRecord>(() => {}),
    /** Hears what is kept nowhere before its owner reads that it is heard. */
    listen: fromCallback<MappingEvent, MappingRecord>(() => {}),
    rest: fromPromise<void, MappingRecord>(notProvided),
    remove: fromPromise<void, MappingInput>(notProvided),
    /** Writes a step's end, if the record still wishes it. Then the record is read again. */
    settle: fromPromise<void, Settling>(notProvided),
  },
  guards: {
    isOld: ({ context, event }) => event.type === "record.read" && event.revision <= context.revision,
    isNoNews: ({ context, event }) => event.type === "record.read" && isSameWish(context.record, event.record),
    reads: ({ event }, state: MappingRecord["state"]) => event.type === "record.read" && event.record.state === state,
    is: ({ context }, state: MappingRecord["state"]) => context.record.state === state,
  },
  delays: { retry: 2000 },
  actions: {
    remember: assign(({ event }) =>
      event.type === "record.read" ? { record: event.record, revision: event.revision, trouble: "" } : {},
    ),
    noteLoss: assign(({ event }) => (event.type === "work.lost" ? { trouble: event.why } : {})),
    noteTrouble: assign((_, { error }: { error: unknown }) => ({
      trouble: error instanceof Error ? error.message : String(error),
    })),
    /** Tells the owner, in the record. */
    complain: () => {},
  },
});

/** The source is made ready, then what the owner wants is true, and is written. */
const becoming = parts.createStateConfig({
  initial: "preparing",
  states: {
    preparing: {
      invoke: {
        src: "prepare",
        input: ({ context }) => context.record,
        onDone: [
          { guard: ({ event }) => event.output.ready, target: "settling" },
          {
            target: "refusing",
            actions: assign({ trouble: ({ event }) => (event.output.ready ? "" : event.output.why) }),
          },
        ],
        onError: {
          target: "failing",
          actions: { type: "noteTrouble", params: ({ event }) => ({ error: event.error }) },
        },
      },
    },
    settling: {
      invoke: [
        { src: "listen", input: ({ context }) => context.record },
        {
          src: "settle",
          input: ({ context: { record } }) => ({
            record,
            state: record.enabled ? ("Enabled" as const) : ("Disabled" as const),
            reason: record.stateReason,
          }),
          onError: {
            target: "failing",
            actions: { type: "noteTrouble", params: ({ event }) => ({ error: event.error }) },
          },
        },
      ],
    },
    refusing: {
      invoke: {
        src: "settle",
        input: ({ context: { record, trouble } }) => ({ record, state: "Disabled" as const, reason: trouble }),
        onError: "failing",
      },
    },
    failing: { entry: "complain", after: { retry: "preparing" } },
  },
});

export const mappingMachine = parts.createMachine({
  id: "mapping",
  context: ({ input }) => ({ ...input, trouble: "" }),
  initial: "unread",
  on: {
    "record.read": [
      { guard: "isOld" },
      { guard: "isNoNews", actions: "remember" },
      { guard: { type: "reads", params: "Creating" }, target: ".Creating", actions: "remember" },
      { guard: { type: "reads", params: "Enabling" }, target: ".Enabling", actions: "remember" },
      { guard: { type: "reads", params: "Enabled" }, target: ".Enabled", actions: "remember" },
      { guard: { type: "reads", params: "Disabling" }, target: ".Disabling", actions: "remember" },
      { guard: { type: "reads", params: "Disabled" }, target: ".Disabled", actions: "remember" },
      { guard: { type: "reads", params: "Updating" }, target: ".Updating", actions: "remember" },
      { target: ".Deleting", actions: "remember" },
    ],
    "record.gone": ".Deleting",
    "trigger.stopping": ".left",
  },
  states: {
    unread: {
      always: [
        { guard: { type: "is", params: "Creating" }, target: "Creating" },
        { guard: { type: "is", params: "Enabling" }, target: "Enabling" },
        { guard: { type: "is", params: "Enabled" }, target: "Enabled" },
        { guard: { type: "is", params: "Disabling" }, target: "Disabling" },
        { guard: { type: "is", params: "Disabled" }, target: "Disabled" },
        { guard: { type: "is", params: "Updating" }, target: "Updating" },
        { target: "Deleting" },
      ],
    },
    Creating: becoming,
    Enabling: becoming,
    Updating: becoming,
    Enabled: {
      initial: "working",
      states: {
        working: {
          invoke: { src: "work", input: ({ context }) => context.record },
          on: { "work.lost": { target: "stumbling", actions: "noteLoss" } },
        },
        stumbling: { entry: "complain", after: { retry: "preparing" } },
        preparing: {
          invoke: {
            src: "prepare",
            input: ({ context }) => context.record,
            onDone: "working",
            onError: {
              target: "stumbling",
              actions: { type: "noteTrouble", params: ({ event }) => ({ error: event.error }) },
            },
          },
        },
      },
    },
    Disabling: {
      initial: "resting",
      states: {
        resting: {
          invoke: {
            src: "rest",
            input: ({ context }) => context.record,
            onDone: "settling",
            onError: {
              target: "failing",
              actions: { type: "noteTrouble", params: ({ event }) => ({ error: event.error }) },
            },
          },
        },
        settling: {
          invoke: {
            src: "settle",
            input: ({ context: { record } }) => ({ record, state: "Disabled" as const, reason: record.stateReason }),
            onError: {
              target: "failing",
              actions: { type: "noteTrouble", params: ({ event }) => ({ error: event.error }) },
            },
          },
        },
        failing: { entry: "complain", after: { retry: "resting" } },
      },
    },
    Disabled: {},
    Deleting: {
      initial: "removing",
      // Nothing comes after it, whatever an old reader still brings.
      on: { "record.read": {}, "record.gone": {} },
      states: {
        removing: {
          invoke: {
            src: "remove",
            input: ({ context: { record, revision } }) => ({ record, revision }),
            onDone: "#mapping.gone",
            onError: {
              target: "failing",
              actions: { type: "noteTrouble", params: ({ event }) => ({ error: event.error }) },
            },
          },
        },
        failing: { after: { retry: "removing" } },
      },
    },
    gone: { type: "final" },
    left: { type: "final" },
  },
});
