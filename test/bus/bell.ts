/** A small machine and its table, to try what the bus promises to any machine. */
import { randomUUID } from "node:crypto";
import type { NatsConnection } from "nats";
import { pino } from "pino";
import { assign, emit, setup } from "xstate";
import { z } from "zod";
import { Component } from "../../actors/bus/component.ts";
import { natsNetwork } from "../../actors/bus/nats.ts";
import { systemClock } from "../../actors/bus/port.ts";
import { hear, say, type Wiring } from "../../actors/bus/wiring.ts";
import { json } from "../../subjects/contract.ts";
import { type Refusal, refusal } from "../../subjects/errors.ts";

/** Subjects no other test uses. */
export const Ring = json("test.bell.{id}.ring", z.object({ times: z.number().int().positive() }));
export const Break = json("test.bell.{id}.break", z.object({}));
export const Wind = json("test.bell.{id}.wind", z.object({}));
export const Rang = json("test.bell.{id}.rang", z.object({ times: z.number().max(100) }));
export const Winder = json("test.winder", z.object({ id: z.string() }));

type BellEvent =
  | { type: "bell.ring"; replyTo: string | undefined; times: number }
  | { type: "bell.break" }
  | { type: "bell.wind"; replyTo: string | undefined }
  | { type: "winder.answered"; refusal: Refusal | undefined };

type BellEmitted =
  | { type: "rang"; id: string; times: number }
  | { type: "reply"; to: string | undefined; body: { times: number } }
  | { type: "refuse"; to: string | undefined; refusal: Refusal }
  | { type: "askWinder"; id: string };

export const bellMachine = setup({
  types: {
    context: {} as { readonly id: string; readonly times: number; readonly waiting: string | undefined },
    input: {} as { id: string },
    events: {} as BellEvent,
    emitted: {} as BellEmitted,
  },
  actions: {
    count: assign({
      times: ({ context, event }) => context.times + (event.type === "bell.ring" ? event.times : 0),
    }),
    sayRang: emit(({ context: { id, times } }) => ({ type: "rang" as const, id, times })),
    answer: emit(({ context, event }) => ({
      type: "reply" as const,
      to: event.type === "bell.ring" ? event.replyTo : context.waiting,
      body: { times: context.times },
    })),
    wait: assign({ waiting: ({ event }) => (event.type === "bell.wind" ? event.replyTo : undefined) }),
    askWinder: emit(({ context: { id } }) => ({ type: "askWinder" as const, id })),
    refuse: emit(({ context, event }) => ({
      type: "refuse" as const,
      to: context.waiting,
      refusal: (event.type === "winder.answered" ? event.refusal : undefined) ?? refusal("ServiceException", "broken"),
    })),
    burst: () => {
      throw new Error("it burst");
    },
  },
}).createMachine({
  id: "bell",
  context: ({ input }) => ({ id: input.id, times: 0, waiting: undefined }),
  initial: "silent",
  states: {
    silent: {
      on: {
        "bell.ring": [
          { guard: ({ event }) => event.times === 666, actions: "burst" },
          { target: "ringing", actions: ["count", "sayRang", "answer"] },
        ],
        "bell.wind": { target: "winding", actions: ["wait", "askWinder"] },
        "bell.break": "broken",
      },
    },
    ringing: {
      on: { "bell.ring": { target: "silent", actions: ["count", "sayRang", "answer"] }, "bell.break": "broken" },
    },
    winding: {
      on: {
        "winder.answered": [
          { guard: ({ event }) => event.refusal === undefined, target: "silent", actions: "answer" },
          { target: "silent", actions: "refuse" },
        ],
      },
    },
    broken: { type: "final" },
  },
});

export const bellWiring: Wiring<typeof bellMachine> = {
  hears: [
    hear(Ring, {
      endpoint: "ring",
      queue: "bells",
      absent: "spawn",
      key: (_, { address }) => address.id,
      toEvent: (body, { replyTo }) => ({ ...body, replyTo, type: "bell.ring" }),
    }),
    hear(Wind, {
      endpoint: "wind",
      absent: refusal("ResourceNotFoundException", "no such bell"),
      key: (_, { address }) => address.id,
      toEvent: (_, { replyTo }) => ({ type: "bell.wind", replyTo }),
    }),
    hear(Break, { key: (_, { address }) => address.id, toEvent: () => ({ type: "bell.break" }) }),
  ],
  says: {
    // Its schema isn't asked on the way out, so what can't be said is made here: a subject with a dot in its id.
    rang: ({ id, times }) => say(Rang, { id: times === 13 ? "no.token" : id }, { times }),
    askWinder: {
      timeoutMs: 200,
      request: ({ id }) => say(Winder, {}, { id }),
      answered: () => ({ type: "winder.answered", refusal: undefined }),
      failed: (refused) => ({ type: "winder.answered", refusal: refused }),
    },
  },
};

export function bellTower(connection: NatsConnection): Component {
  return new Component({
    name: "test-bells",
    id: randomUUID(),
    version: "0.0.1",
    description: "under test",
    network: natsNetwork(connection),
    clock: systemClock,
    log: pino({ level: "silent" }),
  });
}
