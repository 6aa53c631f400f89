/** Telling a destination: what may pass is waited for, what won't isn't. */
import { expect, test } from "vitest";
import { type Network, NoAnswer } from "../../actors/bus/port.ts";
import { deliver, type Letter } from "../../actors/poller/destination.ts";

const letter: Letter = {
  acct: "000000000000",
  to: "arn:aws:nats:::stream/DONE/done.f",
  payload: "{}",
  headers: {},
  id: "1",
};
const network = {} as Network;

/** A stream that answers from its n-th time on; `home` is the stream that stores its subject. */
const streamThatAnswers = (from: number, home: string | undefined) => {
  const asked = { times: 0 };
  const queues = {
    async store() {
      asked.times += 1;
      if (asked.times < from) throw new NoAnswer("done.f: jetstream is not enabled");
      return { isDuplicate: false };
    },
    storedIn: async () => home,
  };
  return { asked, queues };
};

test("a stream that has no leader for a moment is told once it has one", async () => {
  const { asked, queues } = streamThatAnswers(3, "DONE");
  await deliver(letter, network, queues);
  expect(asked.times).toBe(3);
});

test("a stream that isn't there is an error at once", async () => {
  const { asked, queues } = streamThatAnswers(3, undefined);
  await expect(deliver(letter, network, queues)).rejects.toThrow("jetstream is not enabled");
  expect(asked.times).toBe(1);
});

test("a subject that another stream stores is an error at once", async () => {
  const { asked, queues } = streamThatAnswers(3, "OTHER");
  await expect(deliver(letter, network, queues)).rejects.toThrow(NoAnswer);
  expect(asked.times).toBe(1);
});
