/** What the bus promises to every machine, on a real nats-server. */
import { headers, type Msg, type NatsConnection } from "nats";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Component } from "../../actors/bus/component.ts";
import { Population } from "../../actors/bus/population.ts";
import { refusalSaid } from "../../actors/bus/replies.ts";
import { refusal } from "../../subjects/errors.ts";
import { ERROR, ERROR_CODE } from "../../subjects/headers.ts";
import { Inspect, State, type Transition } from "../../subjects/state.ts";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { Break, bellMachine, bellTower, bellWiring, Rang, Ring, Wind, Winder } from "./bell.ts";

let server: TestServer;
let platform: NatsConnection;
let person: NatsConnection;
let component: Component;
let bells: Population<typeof bellMachine>;
let ended: string[];
let isStopped = false;

beforeAll(async () => {
  server = await startTestServer();
  [platform, person] = [await server.connect(), await server.connect("mayfly")];
});
afterAll(async () => server?.[Symbol.asyncDispose]());

beforeEach(async () => {
  isStopped = false;
  ended = [];
  component = bellTower(platform);
  bells = new Population(component, {
    actor: "bell",
    logic: bellMachine,
    wiring: bellWiring,
    born: (id) => (id === "never" ? undefined : { id }),
    ended: (key) => void ended.push(key),
  }).listen();
  await platform.flush();
});
afterEach(async () => {
  if (!isStopped) await component.stop();
});

const ask = (subject: string, body: unknown, sent = headers()): Promise<Msg> =>
  person.request(subject, typeof body === "string" ? body : JSON.stringify(body), { timeout: 5000, headers: sent });
const ring = (id: string, times: unknown) => ask(Ring.subject({ id }), { times });
const errorOf = (reply: Msg): string | undefined => reply.headers?.get(ERROR);

/** Collects what is said on a subject; `next` resolves with what comes next. */
async function listener(subject: string) {
  const iterator = person.subscribe(subject)[Symbol.asyncIterator]();
  await person.flush();
  return { next: async () => ((await iterator.next()).value as Msg).json<Record<string, unknown>>() };
}

describe("in", () => {
  test("a message becomes an event of the actor with its key, made when there is none", async () => {
    expect((await ring("a", 2)).json()).toEqual({ times: 2 });
    expect((await ring("a", 3)).json()).toEqual({ times: 5 });
    expect((await ring("b", 1)).json()).toEqual({ times: 1 });
    expect(bells.size).toBe(2);
  });

  test("a body that isn't JSON, or that its schema forbids, is answered by name and does no harm", async () => {
    for (const body of ["{", '{"times":"many"}', '{"times":-1}', "null"]) {
      const reply = await ask(Ring.subject({ id: "a" }), body);
      expect(errorOf(reply)).toMatch(/^RequestMalformed: /);
      expect(reply.headers?.get(ERROR_CODE)).toBe("400");
    }
    expect((await ring("a", 1)).json()).toEqual({ times: 1 });
  });

  test("a body can't forge an event", async () => {
    await ring("a", 1);
    await ask(Ring.subject({ id: "a" }), { times: 1, type: "bell.break" });
    await ask(Ring.subject({ id: "a" }), { times: 1, type: "xstate.stop" });
    expect((await ring("a", 1)).json()).toEqual({ times: 4 });
  });

  test("a request for an actor that is absent is refused by name, where its row says so", async () => {
    expect(errorOf(await ask(Wind.subject({ id: "nobody" }), {}))).toBe("ResourceNotFoundException: no such bell");
  });
});

describe("out", () => {
  test("what is emitted is published where its row says", async () => {
    const rang = await listener(Rang.subject());
    await ring("a", 2);
    expect(await rang.next()).toEqual({ times: 2 });
  });

  test("what can't be said doesn't keep the actor from answering", async () => {
    expect((await ring("a", 13)).json()).toEqual({ times: 13 });
    expect((await ring("a", 1)).json()).toEqual({ times: 14 });
  });

  test("a question is asked, and its answer becomes an event", async () => {
    const winder = platform.subscribe(Winder.subject(), { callback: (_, message) => void message.respond("{}") });
    await ring("a", 1).then(() => ring("a", 1));
    expect((await ask(Wind.subject({ id: "a" }), {})).json()).toEqual({ times: 2 });
    winder.unsubscribe();
  });

  test("so do a refusal, silence, and an answer that makes no sense", async () => {
    await ring("a", 1).then(() => ring("a", 1));
    expect(errorOf(await ask(Wind.subject({ id: "a" }), {}))).toMatch(/^ServiceException: .*test\.winder/);
    const full = refusal("TooManyRequestsException", "too many bells", "TooLoud");
    const answers: Array<(message: Msg) => void> = [
      ({ reply = "" }) => component.network.publish(refusalSaid(reply, full)),
      () => {},
      (message) => void message.respond("{"),
    ];
    for (const answer of answers) {
      const winder = platform.subscribe(Winder.subject(), { callback: (_, message) => answer(message) });
      await platform.flush();
      expect(errorOf(await ask(Wind.subject({ id: "a" }), {}))).toMatch(/^(TooManyRequests|Service)Exception: /);
      winder.unsubscribe();
    }
    expect(bells.snapshot("a")?.value).toBe("silent");
  });
});

describe("a life", () => {
  test("ends by being forgotten, and the same key begins a new one", async () => {
    await ring("a", 5);
    const states = await listener(State.subject({ actor: "bell", id: "a" }));
    person.publish(Break.subject({ id: "a" }), "{}");
    expect(await states.next()).toMatchObject({ from: "ringing", to: "broken", event: "bell.break" });
    expect([bells.size, ended]).toEqual([0, ["a"]]);
    expect((await ring("a", 1)).json()).toEqual({ times: 1 });
  });

  test("that fails is forgotten too, and takes nobody with it", async () => {
    await ring("b", 1);
    person.publish(Ring.subject({ id: "a" }), JSON.stringify({ times: 666 }));
    expect((await ring("b", 1)).json()).toEqual({ times: 2 });
    expect(ended).toEqual(["a"]);
  });

  test("is told, transition by transition, in order", async () => {
    const states = await listener(State.subject({ actor: "bell" }));
    await ring("a", 1).then(() => ring("a", 1));
    const told: Array<Partial<Transition>> = [await states.next(), await states.next(), await states.next()];
    expect(told.map(({ from, to, event }) => [from, to, event])).toEqual([
      ["", "silent", "xstate.init"],
      ["silent", "ringing", "bell.ring"],
      ["ringing", "silent", "bell.ring"],
    ]);
    for (const each of told) expect(Math.abs(Date.now() - (each.at ?? 0))).toBeLessThan(60_000);
  });

  test("can be looked at", async () => {
    await ring("a", 2);
    const subject = Inspect.subject({ actor: "bell", id: "a" });
    expect((await ask(subject, "")).json()).toMatchObject({
      state: "ringing",
      status: "active",
      context: { times: 2 },
    });
  });
});

describe("as a NATS micro service", () => {
  interface Stats {
    readonly endpoints: ReadonlyArray<Record<string, unknown>>;
  }
  const service = async (verb: string) => (await ask(`$SRV.${verb}.test-bells.${component.id}`, "")).json<Stats>();

  test("it answers to all, to its name and to its id", async () => {
    for (const subject of ["$SRV.PING", "$SRV.PING.test-bells", `$SRV.PING.test-bells.${component.id}`]) {
      expect((await ask(subject, "")).json()).toMatchObject({
        type: "io.nats.micro.v1.ping_response",
        name: "test-bells",
        id: component.id,
      });
    }
    expect(await service("INFO")).toMatchObject({
      type: "io.nats.micro.v1.info_response",
      endpoints: [
        { name: "ring", subject: "test.bell.*.ring", queue_group: "bells" },
        { name: "wind", subject: "test.bell.*.wind" },
      ],
    });
  });

  test("its numbers are honest: answers and refusals, and the time until they were given", async () => {
    await ring("a", 1);
    await ring("a", "no");
    await ring("a", 1);
    await ask(Wind.subject({ id: "a" }), {});
    const winder = platform.subscribe(Winder.subject(), {
      callback: (_, message) => void setImmediate(() => message.respond("{}")),
    });
    await platform.flush();
    await ask(Wind.subject({ id: "a" }), {});
    winder.unsubscribe();
    const { endpoints } = await service("STATS");
    expect(endpoints).toMatchObject([
      { name: "ring", num_requests: 3, num_errors: 1, last_error: expect.stringMatching(/^RequestMalformed/) },
      { name: "wind", num_requests: 2, num_errors: 1, last_error: expect.stringMatching(/^ServiceException/) },
    ]);
    for (const each of endpoints) {
      expect(each.processing_time).toBeGreaterThan(0);
      const averageNs = Number(each.processing_time) / Number(each.num_requests);
      expect(Math.abs(Number(each.average_processing_time) - averageNs)).toBeLessThanOrEqual(1);
    }
  });
});

describe("when it stops", () => {
  test("nothing is heard any more, and who still waits is refused by name", async () => {
    await ring("a", 1).then(() => ring("a", 1));
    const asked = Promise.withResolvers<void>();
    const winder = platform.subscribe(Winder.subject(), { callback: () => asked.resolve() });
    await platform.flush();
    const waiting = ask(Wind.subject({ id: "a" }), {});
    await asked.promise;
    isStopped = true;
    await component.stop();
    expect(errorOf(await waiting)).toMatch(/^ServiceException: the component is stopping/);
    await expect(ring("a", 1)).rejects.toThrow(/no responders/);
    winder.unsubscribe();
  });
});
