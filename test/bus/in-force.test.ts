/** What is written is in force once all that act by a copy have it; nobody is waited for long. */
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Component } from "../../actors/bus/component.ts";
import { heardOf, toldOf } from "../../actors/bus/in-force.ts";
import type { Message, Network } from "../../actors/bus/port.ts";
import type { Bucket, Entry } from "../../actors/bus/storage.ts";
import { Followed } from "../../subjects/followed.ts";

function given() {
  const published: Array<readonly [string, unknown]> = [];
  let heard: (message: Message) => void = () => {};
  let [us, beat] = [0, () => {}];
  const network = {
    subscribe(subject: string, each: (message: Message) => void) {
      if (subject === Followed.subject()) heard = each;
      return { drain: async () => {} };
    },
    publish: ({ subject, payload }: { subject: string; payload: string }) =>
      void published.push([subject, JSON.parse(payload)]),
  } as unknown as Network;
  const every = (_: number, back: () => void) => {
    beat = back;
    return { stop: () => (beat = () => {}) };
  };
  const component = new Component({
    name: "test",
    id: "me",
    version: "0.0.1",
    description: "under test",
    network,
    clock: { now: () => 0, us: () => us, every },
    log: pino({ level: "silent" }),
  });
  const says = (followerId: string, revision: unknown) =>
    heard({
      subject: Followed.subject({ followerId }),
      data: new TextEncoder().encode(JSON.stringify({ revision })),
      replyTo: undefined,
      header: () => undefined,
    });
  return {
    component,
    published,
    says,
    beats: () => beat(),
    passes: (ms: number) => {
      us += ms * 1000;
    },
  };
}

test("who follows says how far, once its copy is whole: when a change is in force there, and at each beat", async () => {
  const { component, published, beats } = given();
  let [changed, whole]: [(entry: Entry) => void, () => void] = [() => {}, () => {}];
  const bucket = {
    watch: async (each: typeof changed, upToDate: () => void) => {
      [changed, whole] = [each, upToDate];
      return { stop: () => {} };
    },
  } as unknown as Bucket;
  const taken: number[] = [];
  const before: unknown[] = [];
  const watch = await toldOf(component, bucket).watch(({ revision }) => {
    before.push(published.length);
    taken.push(revision);
  });
  const comes = (revision: number) => changed({ key: "k", value: {}, revision });
  const said = () => published.map(([, body]) => (body as { revision: number }).revision);
  comes(3);
  comes(7);
  expect(published).toEqual([]);
  whole();
  comes(8);
  beats();
  expect([taken, before, said()]).toEqual([
    [3, 7, 8],
    [0, 0, 1],
    [7, 8, 8],
  ]);
  expect(published[0]?.[0]).toBe(Followed.subject({ followerId: "me" }));
  watch.stop();
  beats();
  expect(published).toHaveLength(3);
});

describe("who writes", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
  afterEach(() => void vi.useRealTimers());

  const waits = (promise: Promise<void>) => {
    const waiting = { isOver: false };
    void promise.then(() => {
      waiting.isOver = true;
    });
    return waiting;
  };
  const settled = () => new Promise((resolve) => setImmediate(resolve));

  test("waits for nobody where nobody follows, or all are that far", async () => {
    const { component, says } = given();
    const inForce = heardOf(component);
    await inForce(5);
    says("a", 5);
    says("b", 6);
    await inForce(5);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("waits for all that follow, and no longer", async () => {
    const { component, says } = given();
    const inForce = heardOf(component);
    says("a", 4);
    says("b", 4);
    const [five, six] = [waits(inForce(5)), waits(inForce(6))];
    says("a", 6);
    await settled();
    expect([five.isOver, six.isOver]).toEqual([false, false]);
    says("b", 5);
    await settled();
    expect([five.isOver, six.isOver]).toEqual([true, false]);
    says("b", 6);
    await settled();
    expect([six.isOver, vi.getTimerCount()]).toEqual([true, 0]);
  });

  test("waits two seconds at most for one that doesn't follow, and not at all for one that isn't heard any more", async () => {
    const { component, says, passes } = given();
    const inForce = heardOf(component);
    says("a", 4);
    const first = waits(inForce(5));
    vi.advanceTimersByTime(1999);
    await settled();
    expect(first.isOver).toBe(false);
    vi.advanceTimersByTime(1);
    await settled();
    expect(first.isOver).toBe(true);
    passes(3001);
    await inForce(6);
  });

  test("is not put out by what is no word of a component's", async () => {
    const { component, says } = given();
    const inForce = heardOf(component);
    says("a", "much");
    const waiting = waits(inForce(1));
    says("a", 1);
    await settled();
    expect(waiting.isOver).toBe(true);
  });
});
