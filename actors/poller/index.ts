/** The poller: one actor for each event in hand, and one for each function with a backlog. */
import { Queued } from "../../subjects/async.ts";
import { UNKNOWN } from "../../subjects/dead.ts";
import { Inspect } from "../../subjects/state.ts";
import { RETRY_STREAM } from "../../subjects/streams.ts";
import type { Component } from "../bus/component.ts";
import { Population } from "../bus/population.ts";
import type { Taken, WorkQueues } from "../bus/queues.ts";
import { Responder } from "../bus/responder.ts";
import type { Bucket } from "../bus/storage.ts";
import { backlogLogic } from "./backlog/effects.ts";
import type { BacklogInput, backlogMachine } from "./backlog/machine.ts";
import { backlogKey, backlogWiring } from "./backlog/wiring.ts";
import { type Count, discover, type Stray } from "./discovery.ts";
import { eventLogic } from "./effects.ts";
import { listenForHints } from "./hints.ts";
import { earlyMs, eventFrom } from "./intake.ts";
import type { EventContext, eventMachine } from "./machine.ts";
import { openSettings, type Standard } from "./settings.ts";
import { accountOf } from "./sources.ts";
import { buryStrays } from "./strays.ts";
import { nothing, Tally } from "./tally.ts";
import { eventWiring } from "./wiring.ts";

export interface PollerOptions {
  readonly component: Component;
  readonly functions: Bucket;
  readonly queues: WorkQueues;
  readonly accounts: readonly string[];
  readonly region: string;
  readonly standard: Standard;
  /** The server keeps back what is not due yet. */
  readonly hasSchedules: boolean;
  readonly ackWaitMs: number;
  /** What a run may take beside the function's own time: admission, a sandbox, its init. */
  readonly overheadMs: number;
  /** How often the streams are counted. */
  readonly countMs: number;
  /** A backlog without work is forgotten after so long. */
  readonly idleMs: number;
}

export interface Poller {
  readonly events: Population<typeof eventMachine>;
  readonly backlogs: Population<typeof backlogMachine>;
}

interface InHand {
  readonly message: Taken;
  readonly sinceUs: number;
}

/** Of the time to acknowledge, after which an event in hand says that it is still worked on. */
const KEEP_SHARE = 3;
/** An event whose request id another one has just now waits so long for it. */
const TWIN_MS = 1000;

/** Resolves once the functions are known and events are taken. */
export async function startPoller(options: PollerOptions): Promise<Poller> {
  const { component, queues, accounts, ackWaitMs, idleMs } = options;
  const { clock } = component;
  const tally = new Tally(queues);
  let backlogs: Population<typeof backlogMachine> | undefined;
  const settings = await openSettings(options.functions, options.standard, (acct, fn, queue) => {
    backlogs?.send(backlogKey(acct, fn), { type: "backlog.configured", ...queue });
  });
  component.add({ drain: async () => settings.stop() });

  const inHand = new Map<string, InHand>();
  const ends = component.statistics.endpoint("events", Queued.subject(), undefined);
  ends.data = () => ({ ...tally.latest(), functions: functions() });
  const events: Population<typeof eventMachine> = new Population(component, {
    actor: "event",
    logic: eventLogic({
      component,
      queues,
      settings,
      region: options.region,
      hasSchedules: options.hasSchedules,
      overheadMs: options.overheadMs,
      message: (requestId) => inHand.get(requestId)?.message,
      undelivered: ({ acct, fn }) => tally.count(acct, fn, "undelivered"),
    }),
    wiring: eventWiring,
    tick: { everyMs: ackWaitMs / KEEP_SHARE, event: { type: "event.ticked" } },
    brief: {
      about: ({ context }) => aboutOf(context),
      worthKeeping: ({ value }) => value === "dead" || value === "retrying",
      isInspectable: true,
    },
    ended: (requestId, { value, context: { acct, fn } }) => {
      const sinceUs = inHand.get(requestId)?.sinceUs ?? clock.us();
      inHand.delete(requestId);
      if (value === "succeeded" || value === "dead") {
        tally.count(acct, fn, value);
        ends.requests += 1;
        ends.processingUs += clock.us() - sinceUs;
        if (value === "dead") ends.errors += 1;
      }
      if (value === "retrying") tally.count(acct, fn, "retried");
      known.send(backlogKey(acct, fn), { type: "event.ended", id: requestId });
    },
  });

  const taken = (message: Taken) => {
    const tooEarlyMs = earlyMs(message, clock.now());
    if (tooEarlyMs > 0) return message.giveBack(tooEarlyMs);
    const event = eventFrom(message);
    const { requestId, acct, fn, stream, sequence } = event;
    const twin = inHand.get(requestId)?.message;
    if (message.deliveries > 1 || twin !== undefined) tally.count(acct, fn, "duplicates");
    // The same message once more, because we were late to say that we work on it: it is worked on.
    if (twin?.stream === stream && twin.sequence === sequence) return;
    if (twin !== undefined) return message.giveBack(TWIN_MS);
    if (stream !== RETRY_STREAM && message.deliveries === 1) tally.count(acct, fn, "taken");
    inHand.set(requestId, { message, sinceUs: clock.us() });
    events.spawn(requestId, event);
    // Its backlog is gone when it came while that one closed.
    if (!known.send(backlogKey(acct, fn), { type: "event.taken", id: requestId })) {
      events.send(requestId, { type: "event.recalled" });
    }
  };

  const inputOf = (acct: string, fn: string): BacklogInput => ({ acct, fn, idleMs, ...settings.queue(acct, fn) });
  const known: Population<typeof backlogMachine> = new Population(component, {
    actor: "backlog",
    logic: backlogLogic({
      component,
      queues,
      ackWaitMs,
      hasSchedules: options.hasSchedules,
      taken,
      granted: (requestId) => {
        const snapshot = events.snapshot(requestId);
        if (snapshot === undefined) return;
        const { acct, fn, qualifier } = snapshot.context;
        const rules = settings.rules(acct, fn, qualifier);
        events.send(requestId, { type: "slot.granted", at: clock.now(), rules });
      },
      recalled: (requestId) => void events.send(requestId, { type: "event.recalled" }),
    }),
    wiring: backlogWiring,
  });
  backlogs = known;
  events.listen();
  known.listen();

  /** What waits is known from the last count of the streams. */
  const functions = () => {
    const all = Object.fromEntries(
      [...tally.byFunction()].map(([name, counters]) => [name, { ...counters, waiting: 0, running: 0 }]),
    );
    for (const [, { context }] of known.snapshots()) {
      const { acct, fn, depth, running } = context;
      const ended = all[`${acct}.${fn}`] ?? nothing();
      all[`${acct}.${fn}`] = { ...ended, waiting: Math.max(0, depth - running.length), running: running.length };
    }
    return all;
  };
  const strays = buryStrays(component, queues, (acct) => {
    tally.count(acct, UNKNOWN, "taken");
    tally.count(acct, UNKNOWN, "dead");
    ends.requests += 1;
    ends.errors += 1;
  });
  /** Another system's poller may serve them: told once, and left where they are. */
  const unserved = new Set<string>();
  const isServed = (acct: string): boolean => {
    if (accounts.includes(acct)) return true;
    if (!unserved.has(acct)) component.log.warn({ acct }, "events of an account that this poller doesn't serve");
    unserved.add(acct);
    return false;
  };
  const running = () => events.snapshots().filter(([, { value }]) => value !== "waiting").length;
  const counted = (counts: ReadonlyMap<string, Count>, found: readonly Stray[]) => {
    void tally
      .totals(running)
      .catch((error: unknown) => component.log.warn({ err: error }, "events not accounted for"));
    strays.found(found.filter(({ subject }) => isServed(accountOf(subject))));
    for (const [key, { acct, fn }] of counts) if (isServed(acct)) known.spawn(key, inputOf(acct, fn));
    for (const [key] of known.snapshots()) {
      const { depth = 0, sources = [] } = counts.get(key) ?? {};
      known.send(key, { type: "backlog.counted", depth, sources });
    }
  };
  const since = new Date(clock.now()).toISOString();
  new Responder(component, [
    {
      contract: Inspect,
      subject: Inspect.subject({ actor: "poller", id: component.id }),
      queue: "poller",
      answer: async () => {
        return { ...(await tally.totals(running)), since, counted: tally.counted(), functions: functions() };
      },
    },
  ]);
  const hints = listenForHints({
    component,
    queues,
    accounts,
    stirred: ({ acct, fn, sources }) => {
      const key = backlogKey(acct, fn);
      known.spawn(key, inputOf(acct, fn));
      known.send(key, { type: "backlog.stirred", sources });
    },
  });
  // Whatever comes before it is heard is counted.
  await component.network.flush();
  const counting = discover({ component, queues, everyMs: options.countMs, counted });
  component.add({
    drain: async () => {
      counting.stop();
      await hints.stop();
      known.sendAll({ type: "backlog.close" });
    },
  });
  return { events, backlogs: known };
}

function aboutOf({ acct, fn, qualifier, attempt, setbacks, verdict, outcome }: EventContext): Record<string, unknown> {
  return {
    acct,
    fn,
    qualifier,
    attempt,
    setbacks,
    ...(verdict?.kind === "die" ? { reason: verdict.reason } : {}),
    ...(verdict?.kind === "retry" ? { nextAt: verdict.at } : {}),
    ...(outcome?.kind === "functionError" ? { errorType: outcome.errorType } : {}),
    ...(outcome?.kind === "refused" ? { refused: outcome.name } : {}),
  };
}
